package page

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"stentor/bench/result"
)

func TestPage(t *testing.T) {
	hostile := "</script><script>alert(1)</script>"
	r := result.Result{Scenario: "fanout", Title: hostile, Command: hostile}
	r.Add("rate", 12, result.PerSecond, result.More)
	r.AddCount(hostile, map[string]int{hostile: 1})
	var b bytes.Buffer
	if err := Write(&b, []result.Result{r}); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if strings.Contains(text, "alert(1)</script>") || strings.Contains(text, string(marker)) {
		t.Error("text of a result is markup of the page")
	}
	if n := strings.Count(text, "<script"); n != 2 {
		t.Errorf("%d scripts", n)
	}
	_, rest, _ := strings.Cut(text, `id="data">`)
	data, _, _ := strings.Cut(rest, "</script>")
	var back []result.Result
	if err := json.Unmarshal([]byte(data), &back); err != nil || len(back) != 1 || back[0].Title != hostile {
		t.Errorf("%v %+v", err, back)
	}
	// Nothing is fetched: no address but the name of the SVG namespace, no source, no import.
	if other := regexp.MustCompile(`https?://[^"]+|\bsrc=|@import|url\(`).FindAllString(string(template), -1); len(other) != 1 || other[0] != "http://www.w3.org/2000/svg" {
		t.Errorf("the page names %q", other)
	}
}
