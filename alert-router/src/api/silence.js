const form = document.getElementById('silence');
form.addEventListener('submit', async event => {
  event.preventDefault();
  const said = document.getElementById('said');
  const ticked = [...form.querySelectorAll('input[name=matcher]:checked')];
  const now = Date.now();
  const body = {
    matchers: ticked.map(it => JSON.parse(it.value)),
    startsAt: new Date(now).toISOString(),
    endsAt: new Date(now + form.elements.minutes.value * 60000).toISOString(),
    createdBy: form.elements.author.value,
    comment: form.elements.comment.value,
  };
  try {
    const reply = await fetch(document.body.dataset.prefix + '/api/v2/silences', {
      method: 'POST',
      headers: {'Content-Type': 'application/json'},
      body: JSON.stringify(body),
    });
    const text = await reply.text();
    said.textContent = reply.ok ? 'Silenced until ' + body.endsAt + ': ' + JSON.parse(text).silenceID : 'Not silenced: ' + text;
    form.hidden = reply.ok;
  } catch (error) {
    said.textContent = 'Not silenced: ' + error;
  }
});
