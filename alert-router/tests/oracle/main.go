// Renders templates with Alertmanager's own package, as the truth that ours is held against.
//
// It reads {"data": {…}, "cases": [{"text": "…", "html": false}, …]} and writes [{"output": "…"} or {"error": "…"}, …].
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/prometheus/alertmanager/template"
)

type question struct {
	Data  template.Data `json:"data"`
	Cases []struct {
		Text string `json:"text"`
		HTML bool   `json:"html"`
	} `json:"cases"`
}

type answer struct {
	Output *string `json:"output,omitempty"`
	Error  string  `json:"error,omitempty"`
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
	templates, err := template.FromGlobs(os.Args[1:])
	if err != nil {
		return err
	}
	answers := make([]answer, 0, len(asked.Cases))
	for _, one := range asked.Cases {
		render := templates.ExecuteTextString
		if one.HTML {
			render = templates.ExecuteHTMLString
		}
		output, err := render(one.Text, &asked.Data)
		if err != nil {
			answers = append(answers, answer{Error: err.Error()})
			continue
		}
		answers = append(answers, answer{Output: &output})
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(answers)
}
