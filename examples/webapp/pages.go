package main

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"time"
)

//go:embed pages
var files embed.FS

// view is the data of pages/layout.html.
type view struct {
	Title  string
	Name   string // who is signed in, or ""
	Bare   bool   // without the links to sign in or out
	Notice string // what the last click did
	Page   any    // the data of the page in it
}

// notices are what a page may say about the click that led to it. The address has only their name: a link from elsewhere
// can't make us say anything else.
var notices = map[string]string{
	"needed":     "Please sign in to see your devices.",
	"signed-out": "You are signed out.",
	"device":     "That device is signed out.",
	"gone":       "That device was signed out already.",
	"others":     "All your other devices are signed out.",
}

func notice(r *http.Request) string { return notices[r.URL.Query().Get("done")] }

// templates has each page within the layout. html/template escapes whatever a visitor typed.
var templates = func() map[string]*template.Template {
	layout := template.Must(template.New("layout.html").
		Funcs(template.FuncMap{
			"ago":   func(t time.Time) string { return ago(time.Since(t)) },
			"utc":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
			"epoch": func(second int64) string { return time.Unix(second, 0).UTC().Format("2006-01-02 15:04:05 UTC") },
			"iso":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		}).
		ParseFS(files, "pages/layout.html"))
	all := map[string]*template.Template{}
	for _, page := range []string{"home.html", "sign-in.html", "devices.html", "problem.html"} {
		all[page] = template.Must(template.Must(layout.Clone()).ParseFS(files, "pages/"+page))
	}
	return all
}()

// render writes a page once it is complete: half a page would be worse than an error.
func (a *app) render(w http.ResponseWriter, status int, page string, data view) {
	var buf bytes.Buffer
	if err := templates[page].Execute(&buf, data); err != nil {
		a.logger.Error("rendering failed", "page", page, "error", err)
		http.Error(w, "This page can't be shown.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = buf.WriteTo(w) // an error means that the browser has gone
}

// fail says what went wrong.
func (a *app) fail(w http.ResponseWriter, status int, title, text string) {
	a.render(w, status, "problem.html", view{Title: title, Bare: true, Page: text})
}

// asset serves a file of pages/.
func asset(name string) http.HandlerFunc {
	content, err := files.ReadFile("pages/" + name)
	if err != nil {
		panic(err) // it is embedded: this is for whoever renames it
	}
	tag := fmt.Sprintf(`"%x"`, sha256.Sum256(content))
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache") // kept, and asked for again with the tag
		w.Header().Set("ETag", tag)
		http.ServeContent(w, r, path.Base(name), time.Time{}, bytes.NewReader(content))
	}
}

// ago says how long ago something was. Unlike a time of day, that needs no guess at the reader's time zone.
func ago(d time.Duration) string {
	count := func(n int, unit string) string {
		if n == 1 {
			return "1 " + unit + " ago"
		}
		return fmt.Sprintf("%d %ss ago", n, unit)
	}
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return count(int(d/time.Minute), "minute")
	case d < 48*time.Hour:
		return count(int(d/time.Hour), "hour")
	default:
		return count(int(d/(24*time.Hour)), "day")
	}
}
