package report

import (
	"slices"
	"strconv"
	"text/template"
)

var (
	names  = map[string]string{"postgres": "PostgreSQL", "mariadb": "MariaDB", "sqlite": "SQLite"}
	titles = map[string]string{"load": "load", "save": "save", "mix": "80/20: four loads, one save"}
)

// storeOrder gives each store its place in the legend and its colour, the same in every chart.
var storeOrder = []string{"ours", "unbatched", "scs", "scs-redis", "gorilla-gorm", "raw-pgxpool", "raw-sql", "pgbench"}

func class(store string) string { return "s" + strconv.Itoa(slices.Index(storeOrder, store)) }

// label is for readers who don't know who "ours" are.
func label(store string) string {
	if store == "ours" {
		return "entsession"
	}
	return store
}

// svg has its colours for light and dark in its own style, which a browser applies to an image too.
var svg = template.Must(template.New("chart").Parse(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{.Width}} {{.Height}}" width="{{.Width}}" height="{{.Height}}" role="img" aria-label="{{.Alt}}">
<style>
.page { fill: #ffffff }
text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #3d444d }
.title { font-size: 16px; font-weight: 600; fill: #1f2328 }
.head { font-size: 13px; font-weight: 600 }
.grid { stroke: #d8dee4; stroke-width: 1 }
.end { text-anchor: end } .mid { text-anchor: middle }
.line { fill: none; stroke-width: 2; stroke-linejoin: round }
.range { stroke-width: 1.5; opacity: .6 }
.s0 { stroke: #0a5bd3 } circle.s0 { fill: #0a5bd3 } path.s0 { stroke-width: 3.5 }
.s1 { stroke: #0a5bd3 } circle.s1 { fill: #ffffff } path.s1 { stroke-dasharray: 2 4 }
.s2 { stroke: #bc4c00 } circle.s2 { fill: #bc4c00 }
.s3 { stroke: #c0126b } circle.s3 { fill: #c0126b }
.s4 { stroke: #8250df } circle.s4 { fill: #8250df }
.s5 { stroke: #1a7f37 } circle.s5 { fill: #1a7f37 } path.s5 { stroke-dasharray: 7 4 }
.s6 { stroke: #8a6100 } circle.s6 { fill: #8a6100 } path.s6 { stroke-dasharray: 7 4 }
.s7 { stroke: #57606a } circle.s7 { fill: #57606a } path.s7 { stroke-dasharray: 2 3 }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117 }
text { fill: #c3ccd6 } .title { fill: #f0f6fc }
.grid { stroke: #2b323b }
.s0 { stroke: #5aa2ff } circle.s0 { fill: #5aa2ff }
.s1 { stroke: #5aa2ff } circle.s1 { fill: #0d1117 }
.s2 { stroke: #f0883e } circle.s2 { fill: #f0883e }
.s3 { stroke: #ff7bb5 } circle.s3 { fill: #ff7bb5 }
.s4 { stroke: #bb8bff } circle.s4 { fill: #bb8bff }
.s5 { stroke: #4ac26b } circle.s5 { fill: #4ac26b }
.s6 { stroke: #d9b13b } circle.s6 { fill: #d9b13b }
.s7 { stroke: #9aa4af } circle.s7 { fill: #9aa4af }
}
</style>
<rect class="page" width="{{.Width}}" height="{{.Height}}" rx="6"/>
<text class="title" x="16" y="26">{{.Title}}</text>
<text x="16" y="46">{{.Subtitle}}</text>
{{range $p := .Panels}}<g>
<text class="head mid" x="{{printf "%.1f" $p.Middle}}" y="74">{{$p.Title}}</text>
{{range .Ticks}}<line class="grid" x1="{{printf "%.1f" $p.X}}" x2="{{printf "%.1f" $p.Right}}" y1="{{printf "%.1f" .At}}" y2="{{printf "%.1f" .At}}"/><text class="end" x="{{printf "%.1f" $p.X}}" y="{{printf "%.1f" .At}}" dx="-6" dy="4">{{.Text}}</text>
{{end}}{{range .Callers}}<text class="mid" x="{{printf "%.1f" .At}}" y="{{printf "%.1f" $p.Bottom}}" dy="18">{{.Text}}</text>
{{end}}<text class="mid" x="{{printf "%.1f" $p.Middle}}" y="{{printf "%.1f" $p.Bottom}}" dy="35">callers</text>
{{range $l := .Lines}}<path class="line {{.Class}}" d="{{.Path}}"/>
{{range .Points}}<line class="range {{$l.Class}}" x1="{{printf "%.1f" .X}}" x2="{{printf "%.1f" .X}}" y1="{{printf "%.1f" .Low}}" y2="{{printf "%.1f" .High}}"/><circle class="{{$l.Class}}" cx="{{printf "%.1f" .X}}" cy="{{printf "%.1f" .Y}}" r="3" stroke-width="1.5"/>
{{end}}{{end}}</g>
{{end}}{{range .Legend}}<path class="line {{.Class}}" d="M{{printf "%.1f" .X}} {{printf "%.1f" .Y}}h26"/><text x="{{printf "%.1f" .X}}" y="{{printf "%.1f" .Y}}" dx="32" dy="4">{{.Text}}</text>
{{end}}</svg>
`))
