package main

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
)

func TestForgedCookies(t *testing.T) {
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		s := newSite(t, kind)
		ada := s.browser(t, firefox)
		ada.signIn(t, "Ada")
		id, key := ada.cookie(t), ada.get(t, "/devices").devices(t)[0].key
		for _, forged := range []string{
			"x", "..", "%00", key, id + "A", id[:len(id)-1], swapCase(id), strings.Repeat("A", 43), strings.Repeat("A", 8000), "' OR 1=1 --",
		} {
			b := s.browser(t, edge)
			b.header.Set("Cookie", "webapp="+forged)
			requireSignedOut(t, b.get(t, "/"))
			requireSignedOut(t, b.post(t, "/counter"))
			requireSignedOut(t, b.post(t, "/cart/add", "item", "tea"))
			p := b.get(t, "/devices")
			requireSignedOut(t, p)
			require.Contains(t, p.Header.Get("Set-Cookie"), "webapp=; Path=/; Max-Age=0", "the cookie is taken away")
		}
		require.Equal(t, 1, s.rows(t))
		require.Equal(t, "Ada", ada.get(t, "/").text(t, "name"))
	})
}

func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r - 'a' + 'A'
		}
		if r >= 'A' && r <= 'Z' {
			return r - 'A' + 'a'
		}
		return r
	}, s)
}

func TestCrossOrigin(t *testing.T) {
	t.Parallel()
	s := newSite(t, sqlite)
	b := s.browser(t, firefox)
	b.signIn(t, "Ada")
	for name, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"} {
		evil := s.browser(t, firefox)
		evil.Jar = b.Jar
		evil.header.Set(name, value)
		for _, path := range []string{"/counter", "/cart/add", "/sign-in", "/sign-out", "/devices/sign-out-others"} {
			p := evil.post(t, path, "item", "tea", "name", "Eve")
			require.Equal(t, http.StatusForbidden, p.Status, "%s with %s", path, name)
			require.Contains(t, p.Body, "That was refused")
		}
	}
	b.header.Set("Origin", s.URL) // our own
	p := b.post(t, "/counter")
	require.Equal(t, "Ada", p.text(t, "name"))
	require.Equal(t, "1", p.text(t, "counter"))
	require.Equal(t, "0", p.text(t, "in-cart-tea"))
}

func TestHTTPS(t *testing.T) {
	t.Parallel()
	s := serveSite(t, sqlite, true)
	b := s.browser(t, firefox)
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	p := b.post(t, "/sign-in", "name", "Ada")
	for _, want := range []string{"__Host-webapp=", "; Path=/", "; HttpOnly", "; Secure", "; SameSite=Lax"} {
		require.Contains(t, p.Header.Get("Set-Cookie"), want)
	}
	require.NotContains(t, p.Header.Get("Set-Cookie"), "Domain")
	require.Equal(t, "Ada", b.get(t, "/").text(t, "name"))
	b.post(t, "/sign-out")
	require.Empty(t, b.cookie(t))
}

func TestCookieWithoutHTTPS(t *testing.T) {
	t.Parallel()
	b := newSite(t, sqlite).browser(t, firefox)
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	p := b.post(t, "/counter")
	require.Equal(t, http.StatusSeeOther, p.Status)
	set := p.Header.Get("Set-Cookie")
	require.Regexp(t, `^webapp=[^;]+; Path=/; HttpOnly; SameSite=Lax$`, set)
}

func TestHeadersAndEscaping(t *testing.T) {
	t.Parallel()
	s := newSite(t, sqlite)
	b := s.browser(t, `<script>alert("agent")</script> Chrome/138`)
	p := b.signIn(t, `<b>"Ada"</b> & 'co'`)
	require.NotContains(t, p.Body, "<b>")
	require.Contains(t, p.Body, "&lt;b&gt;&#34;Ada&#34;&lt;/b&gt; &amp; &#39;co&#39;")
	p = b.get(t, "/devices")
	require.Equal(t, "Chrome", p.devices(t)[0].browser)
	require.NotContains(t, p.Body, "<script")
	require.NotContains(t, b.get(t, "/devices?done=<script>").Body, `class="notice"`)

	for _, path := range []string{"/", "/devices", "/sign-in", "/nothing", "/style.css"} {
		p := b.get(t, path)
		csp := p.Header.Get("Content-Security-Policy")
		require.Contains(t, csp, "default-src 'none'", path)
		require.Contains(t, csp, "frame-ancestors 'none'", path)
		require.NotContains(t, csp, "unsafe", path)
		require.Equal(t, "nosniff", p.Header.Get("X-Content-Type-Options"), path)
		require.Equal(t, "same-origin", p.Header.Get("Referrer-Policy"), path)
	}
	require.Equal(t, "no-store", b.get(t, "/").Header.Get("Cache-Control"))
	require.Equal(t, http.StatusNotFound, b.get(t, "/nothing").Status)
	require.Contains(t, b.get(t, "/style.css").Header.Get("Content-Type"), "text/css")
	require.Contains(t, b.get(t, "/icon.svg").Header.Get("Content-Type"), "image/svg+xml")
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	b := newSite(t, sqlite).browser(t, firefox)
	for _, name := range []string{"", " \t ", "a\x00b", "\xff", "a\u202eb", strings.Repeat("é", maxName+1), strings.Repeat("x", maxForm+1)} {
		p := b.post(t, "/sign-in", "name", name)
		require.Equal(t, http.StatusUnprocessableEntity, p.Status, strconv.Quote(name))
		require.Contains(t, p.Body, "Please")
		require.Contains(t, p.Body, `aria-invalid="true"`)
	}
	require.Empty(t, b.cookie(t))
	require.Equal(t, "Ada Lovelace", b.signIn(t, "  Ada \t Lovelace ").text(t, "name"))
	require.Equal(t, strings.Repeat("é", maxName), b.signIn(t, strings.Repeat("é", maxName)).text(t, "name"))
	require.Equal(t, "王 🙂", b.signIn(t, "王 🙂").text(t, "name"))
	require.Contains(t, b.get(t, "/devices").Body, "王 🙂")
}
