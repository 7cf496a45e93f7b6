// Reads Prometheus' protobuf format and negotiates with Prometheus' own packages, as the truth that ours is held against.
//
// It reads {"accept": ["…", …], "type": "…", "body": "<base64>"} and writes {"formats": ["…", …], "text": "…", "open": "…",
// "native": [{…}, …]}: the format that Go's client would answer each header with; what the body says, in the text format and in
// OpenMetrics, where it can say it; and each histogram of it.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

type question struct {
	Accept []string `json:"accept"`
	Type   string   `json:"type"`
	Body   []byte   `json:"body"`
}

type answer struct {
	Formats []string    `json:"formats"`
	Text    string      `json:"text"`
	Open    string      `json:"open"`
	Native  []histogram `json:"native"`
}

// No dto.Histogram: the sum may be NaN, which JSON cannot say.
type histogram struct {
	Name       string            `json:"name"`
	Count      uint64            `json:"count"`
	CountFloat float64           `json:"count_float"`
	Schema     *int32            `json:"schema"`
	Threshold  float64           `json:"zero_threshold"`
	Zero       uint64            `json:"zero_count"`
	Spans      []*dto.BucketSpan `json:"spans"`
	Deltas     []int64           `json:"deltas"`
	Exemplars  []exemplar        `json:"exemplars"`
}

type exemplar struct {
	Labels map[string]string `json:"labels"`
	Value  float64           `json:"value"`
	Time   int64             `json:"time"`
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
	answered := answer{Formats: []string{}, Native: []histogram{}}
	for _, accept := range asked.Accept {
		format := expfmt.NegotiateIncludingOpenMetrics(http.Header{"Accept": {accept}})
		answered.Formats = append(answered.Formats, string(format))
	}
	format := expfmt.ResponseFormat(http.Header{"Content-Type": {asked.Type}})
	if format.FormatType() != expfmt.TypeProtoDelim {
		return fmt.Errorf("%q is not delimited protobuf", asked.Type)
	}
	decoder := expfmt.NewDecoder(bytes.NewReader(asked.Body), format)
	var text, open bytes.Buffer
	for {
		var family dto.MetricFamily
		if err := decoder.Decode(&family); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		if unknown := family.ProtoReflect().GetUnknown(); len(unknown) > 0 {
			return fmt.Errorf("%s has unknown fields %x", family.GetName(), unknown)
		}
		if _, err := expfmt.MetricFamilyToText(&text, &family); err != nil {
			return err
		}
		if _, err := expfmt.MetricFamilyToOpenMetrics(&open, &family); err != nil {
			fmt.Fprintf(&open, "%v\n", err)
		}
		for _, metric := range family.Metric {
			if h := metric.Histogram; h != nil {
				exemplars := []exemplar{}
				for _, it := range h.Exemplars {
					labels := map[string]string{}
					for _, label := range it.Label {
						labels[label.GetName()] = label.GetValue()
					}
					exemplars = append(exemplars, exemplar{labels, it.GetValue(), it.Timestamp.AsTime().UnixMilli()})
				}
				answered.Native = append(answered.Native, histogram{
					family.GetName(), h.GetSampleCount(), h.GetSampleCountFloat(), h.Schema, h.GetZeroThreshold(),
					h.GetZeroCount(), h.PositiveSpan, h.PositiveDelta, exemplars,
				})
			}
		}
	}
	answered.Text = text.String()
	if _, err := expfmt.FinalizeOpenMetrics(&open); err != nil {
		return err
	}
	answered.Open = open.String()
	return json.NewEncoder(os.Stdout).Encode(answered)
}
