// Answers what Alertmanager makes of configurations and of matchers: {"folder": "…", "configs": ["…"], "matchers": [{"text": "…",
// "mode": "", "many": false}]} gives {"configs": [{"shown": "…", "keys": ["…"]} or {"error": "…"}], "matchers": [likewise]}.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/matcher/compat"
	"github.com/prometheus/common/promslog"
)

type question struct {
	Folder   string   `json:"folder"`
	Configs  []string `json:"configs"`
	Matchers []struct {
		Text string `json:"text"`
		Mode string `json:"mode"`
		Many bool   `json:"many"`
	} `json:"matchers"`
}

type answer struct {
	Shown string   `json:"shown,omitempty"`
	Keys  []string `json:"keys,omitempty"`
	Error string   `json:"error,omitempty"`
}

func mode(name string) {
	f, err := featurecontrol.NewFlags(promslog.NewNopLogger(), name)
	if err != nil {
		panic(err)
	}
	compat.InitFromFlags(promslog.NewNopLogger(), f)
}

func load(folder, text string) (a answer) {
	defer func() {
		if r := recover(); r != nil {
			a = answer{Error: fmt.Sprint("panic: ", r)}
		}
	}()
	path := filepath.Join(folder, "alertmanager.yml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		panic(err)
	}
	c, err := config.LoadFile(path)
	if err != nil {
		return answer{Error: err.Error()}
	}
	a.Shown = c.String()
	route := dispatch.NewRoute(c.Route, nil)
	route.Walk(func(r *dispatch.Route) {
		a.Keys = append(a.Keys, fmt.Sprint(r.Idx, " ", r.Key()))
	})
	return a
}

func main() {
	var q question
	if err := json.NewDecoder(os.Stdin).Decode(&q); err != nil {
		panic(err)
	}
	var answers struct {
		Configs  []answer `json:"configs"`
		Matchers []answer `json:"matchers"`
	}
	mode("")
	for _, text := range q.Configs {
		answers.Configs = append(answers.Configs, load(q.Folder, text))
	}
	for _, one := range q.Matchers {
		mode(one.Mode)
		var a answer
		if one.Many {
			ms, err := compat.Matchers(one.Text, "x")
			if err != nil {
				a.Error = err.Error()
			}
			for _, m := range ms {
				a.Keys = append(a.Keys, m.String())
			}
		} else {
			m, err := compat.Matcher(one.Text, "x")
			if err != nil {
				a.Error = err.Error()
			} else {
				a.Keys = append(a.Keys, m.String())
			}
		}
		answers.Matchers = append(answers.Matchers, a)
	}
	e := json.NewEncoder(os.Stdout)
	e.SetEscapeHTML(false)
	if err := e.Encode(answers); err != nil {
		panic(err)
	}
}
