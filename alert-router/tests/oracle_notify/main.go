// Lets Alertmanager's own notifiers send, and says what they sent, as the truth that ours is held against.
//
// It reads {"folder": "…", "groups": {"NAME": {…}}, "cases": [{"config": "…", "group": "NAME"}, …]} and writes, for each case,
// {"method", "url", "headers", "body"} of a call (of a long body, its length and its SHA-256), {"from", "to", "mail"} of a mail, or {"error"}. In a configuration, UPSTREAM is
// the address of a server for calls and MAILHOST that of one for mail; both are of this program, and so is whatever answers in
// the name of another host.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/config/receiver"
	"github.com/prometheus/alertmanager/nflog"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/template"
	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
)

type group struct {
	Key         string         `json:"key"`
	Labels      model.LabelSet `json:"labels"`
	RouteLabels model.LabelSet `json:"routeLabels"`
	Reason      string         `json:"reason"`
	Alerts      []model.Alert  `json:"alerts"`
	// The message that Slack has of it.
	Earlier *struct {
		Channel   string `json:"channel"`
		Timestamp string `json:"ts"`
	} `json:"earlier"`
}

type question struct {
	Folder string           `json:"folder"`
	Groups map[string]group `json:"groups"`
	Cases  []struct {
		Config string `json:"config"`
		Group  string `json:"group"`
	} `json:"cases"`
}

type answer struct {
	Method  string      `json:"method,omitempty"`
	URL     string      `json:"url,omitempty"`
	Headers http.Header `json:"headers,omitempty"`
	Body    string      `json:"body,omitempty"`
	From    string      `json:"from,omitempty"`
	To      []string    `json:"to,omitempty"`
	Mail    string      `json:"mail,omitempty"`
	Error   string      `json:"error,omitempty"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return err
	}
	servers, err := start()
	if err != nil {
		return err
	}
	answers := make([]answer, 0, len(asked.Cases))
	for _, one := range asked.Cases {
		if err := servers.send(asked.Folder, one.Config, asked.Groups[one.Group]); err != nil {
			answers = append(answers, answer{Error: err.Error()})
			// What was heard of it is not what the next one sends.
			select {
			case <-servers.heard:
			default:
			}
			continue
		}
		answers = append(answers, <-servers.heard)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(answers)
}

type servers struct {
	plain, secure *httptest.Server
	mail          net.Listener
	heard         chan answer
}

func start() (*servers, error) {
	mail, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &servers{mail: mail, heard: make(chan answer, 1)}
	s.plain = httptest.NewServer(http.HandlerFunc(s.call))
	s.secure = httptest.NewTLSServer(http.HandlerFunc(s.call))
	go s.take()
	return s, nil
}

// What belongs to the connection and not to the message.
var unheard = []string{"Accept-Encoding", "Content-Length", "User-Agent"}

func (s *servers) call(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	a := answer{Method: r.Method, Headers: r.Header, Body: string(body)}
	if len(body) > 20_000 {
		a.Body = fmt.Sprintf("%d bytes: %x", len(body), sha256.Sum256(body))
	}
	a.URL = "https://" + r.Host + r.RequestURI
	if r.TLS == nil {
		a.URL = "UPSTREAM" + r.RequestURI
	}
	for _, name := range unheard {
		a.Headers.Del(name)
	}
	s.heard <- a
	fmt.Fprint(w, "ok")
}

// Whoever is called is here.
func (s *servers) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if !strings.HasPrefix(address, "127.0.0.1:") {
		address = s.secure.Listener.Addr().String()
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func (s *servers) take() {
	for {
		connection, err := s.mail.Accept()
		if err != nil {
			return
		}
		go s.converse(textproto.NewConn(connection))
	}
}

func (s *servers) converse(c *textproto.Conn) {
	defer c.Close()
	var a answer
	reply := "220 here"
	for {
		if c.PrintfLine("%s", reply) != nil {
			return
		}
		line, err := c.ReadLine()
		if err != nil {
			return
		}
		word, _, _ := strings.Cut(line, " ")
		address := ""
		if _, rest, found := strings.Cut(line, "<"); found {
			address, _, _ = strings.Cut(rest, ">")
		}
		reply = "250 ok"
		switch word {
		case "MAIL":
			a = answer{From: address}
		case "RCPT":
			a.To = append(a.To, address)
		case "DATA":
			if c.PrintfLine("354 go on") != nil {
				return
			}
			// Not ReadDotBytes, which would make LF of CR LF.
			var text strings.Builder
			for {
				line, err := c.R.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				text.WriteString(strings.TrimPrefix(line, "."))
			}
			a.Mail = steady(text.String())
			s.heard <- a
		case "QUIT":
			c.PrintfLine("221 bye")
			return
		}
	}
}

var (
	number   = regexp.MustCompile(`^Message-Id: <\d+\.\d+@[^@<> ]+>$`)
	boundary = regexp.MustCompile(`boundary=([0-9a-f]{60})`)
)

// A mail with its headers sorted, as Go's order is another each time, and without what is of this moment.
func steady(mail string) string {
	if found := boundary.FindStringSubmatch(mail); found != nil {
		mail = strings.ReplaceAll(mail, found[1], "BOUNDARY")
	}
	head, body, _ := strings.Cut(mail, "\r\n\r\n")
	headers := strings.Split(head, "\r\n")
	for i, header := range headers {
		if number.MatchString(header) {
			headers[i] = "Message-Id: <TIME.NUMBER@HOST>"
		}
		if date, found := strings.CutPrefix(header, "Date: "); found {
			if _, err := time.Parse(time.RFC1123Z, date); err == nil {
				headers[i] = "Date: NOW"
			}
		}
		// Those who read it at midnight will run it again.
		headers[i] = strings.ReplaceAll(headers[i], time.Now().Format("2006-01-02"), "TODAY")
	}
	slices.Sort(headers)
	return strings.Join(headers, "\r\n") + "\r\n\r\n" + body
}

func reason(name string) notify.NotifyReason {
	for one := notify.ReasonDoNotNotify; one < notify.ReasonUnknown; one++ {
		if one.String() == name {
			return one
		}
	}
	return notify.ReasonUnknown
}

// As Alertmanager does it, from the file to the notifier.
func (s *servers) send(folder, text string, g group) error {
	text = strings.ReplaceAll(text, "UPSTREAM", s.plain.URL)
	text = strings.ReplaceAll(text, "MAILHOST", s.mail.Addr().String())
	path := filepath.Join(folder, "alertmanager.yml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	c, err := config.LoadFile(path)
	if err != nil {
		return err
	}
	templates, err := template.FromGlobs(c.Templates)
	if err != nil {
		return err
	}
	templates.ExternalURL, err = url.Parse("http://router.example:9093")
	if err != nil {
		return err
	}
	team := c.Receivers[0]
	quiet := slog.New(slog.DiscardHandler)
	ways, err := receiver.BuildReceiverIntegrations(team, templates, quiet, commoncfg.WithDialContextFunc(s.dial))
	if err != nil {
		return err
	}
	var alerts []*alert.Alert
	for _, one := range g.Alerts {
		alerts = append(alerts, &alert.Alert{Alert: one})
	}
	// As in dispatch.aggrGroup.renderRouteLabels.
	labels := make(model.LabelSet, len(g.RouteLabels))
	data := templates.Data(team.Name, g.Labels, g.RouteLabels, notify.ReasonUnknown.String(), alerts...)
	render := templates.RouteLabelRenderer(data)
	for name := range g.RouteLabels {
		if value, err := render(string(name)); err == nil {
			labels[name] = model.LabelValue(value)
		}
	}
	store := nflog.NewStore(nil)
	if g.Earlier != nil {
		store.SetStr("threadTs", g.Earlier.Timestamp)
		store.SetStr("channelId", g.Earlier.Channel)
	}
	ctx := context.Background()
	ctx = notify.WithReceiverName(ctx, team.Name)
	ctx = notify.WithGroupKey(ctx, g.Key)
	ctx = notify.WithGroupLabels(ctx, g.Labels)
	ctx = notify.WithRouteLabels(ctx, labels)
	ctx = notify.WithNotificationReason(ctx, reason(g.Reason))
	ctx = notify.WithNflogStore(ctx, store)
	_, err = ways[0].Notify(ctx, alerts...)
	return err
}
