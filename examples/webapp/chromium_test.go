package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
)

// TestChromium does what a person does, in a real browser: two profiles signed in under one name.
func TestChromium(t *testing.T) {
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		s := newSite(t, kind)
		chrome := startChromium(t)
		laptop, phone := newTab(t, chrome, s.URL), newTab(t, chrome, s.URL)
		phone.do(t, chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile))

		laptop.open(t, "/")
		require.Equal(t, "0", laptop.text(t, "#counter"))
		laptop.click(t, "#count")
		require.Equal(t, "1", laptop.text(t, "#counter"))
		laptop.click(t, `button[aria-label="One Green tea more"]`)
		laptop.click(t, `button[aria-label="One Green tea more"]`)
		laptop.signIn(t, "Ada")
		require.Equal(t, "2", laptop.text(t, "#in-cart-tea"))
		require.Equal(t, "€9.00", laptop.text(t, "#total"))

		phone.signIn(t, "Ada")
		require.Equal(t, "0", phone.text(t, "#counter"), "a session of its own")
		phone.click(t, "#count")
		phone.click(t, "#count")
		require.Equal(t, "2", phone.text(t, "#counter"))
		phone.click(t, `button[aria-label="One Lemons more"]`)
		phone.click(t, `button[aria-label="One Lemons less"]`)
		require.Equal(t, "0", phone.text(t, "#in-cart-lemons"))

		laptop.click(t, `a[href="/devices"]`)
		require.Equal(t, 2, laptop.count(t, ".device"))
		require.Equal(t, 1, laptop.count(t, ".device .badge"))
		require.Contains(t, laptop.text(t, ".device:first-child h2"), "This device")
		require.Contains(t, laptop.text(t, ".device:last-child"), "127.0.0.1")

		laptop.click(t, ".device:last-child button")
		require.Equal(t, "That device is signed out.", laptop.text(t, ".notice"))
		require.Equal(t, 1, laptop.count(t, ".device"))

		phone.click(t, "#count")
		require.Equal(t, "/sign-in", phone.path(t))
		require.Contains(t, phone.text(t, ".notice"), "Your session has ended")
		phone.signIn(t, "Ada")
		require.Equal(t, "0", phone.text(t, "#counter"))

		phone.click(t, `a[href="/devices"]`)
		phone.click(t, "#others")
		require.Equal(t, 1, phone.count(t, ".device"))
		laptop.click(t, `.brand`)
		require.Equal(t, "/sign-in", laptop.path(t))

		phone.click(t, "nav button")
		require.Equal(t, "You are signed out.", phone.text(t, ".notice"))
		phone.open(t, "/devices")
		require.Equal(t, "Please sign in to see your devices.", phone.text(t, ".notice"))

		laptop.requireClean(t)
		phone.requireClean(t)
	})
}

// TestSmallScreens looks for what hurts on a phone: pages that scroll sideways, and buttons too small for a finger.
func TestSmallScreens(t *testing.T) {
	t.Parallel()
	s := newSite(t, sqlite)
	longest := strings.Repeat("W", maxName)
	for range 2 {
		s.browser(t, safari).signIn(t, longest)
	}
	tab := newTab(t, startChromium(t), s.URL)
	for _, width := range []int64{320, 360, 768} {
		tab.do(t, chromedp.EmulateViewport(width, 640, chromedp.EmulateMobile))
		tab.open(t, "/sign-in")
		tab.requireFits(t, width)
		tab.signIn(t, longest)
		tab.click(t, "#count")
		tab.do(t, chromedp.Click(chromedp.CSS("summary")), chromedp.WaitVisible(chromedp.CSS("#data")))
		tab.requireFits(t, width)
		tab.open(t, "/devices")
		tab.requireFits(t, width)
		tab.open(t, "/nothing")
		tab.requireFits(t, width)
		tab.open(t, "/")
		tab.click(t, "nav button")
	}
}

// TestKeyboard looks at what a keyboard needs: the first stop is the skip link, and a focused control can be seen.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	s := newSite(t, sqlite)
	tab := newTab(t, startChromium(t), s.URL)
	tab.open(t, "/sign-in")
	for _, scheme := range []string{"light", "dark"} {
		tab.emulate(t, scheme)
		tab.open(t, "/sign-in")
		tab.do(t, chromedp.KeyEvent("\t"))
		require.Equal(t, "skip", tab.eval(t, `document.activeElement.className`))
		for i := 0; tab.eval(t, `document.activeElement.id`) != "name"; i++ {
			require.Less(t, i, 10, "the Tab key never reaches the name")
			tab.do(t, chromedp.KeyEvent("\t"))
		}
		require.Equal(t, "solid", tab.eval(t, `getComputedStyle(document.activeElement).outlineStyle`))
	}
	tab.navigate(t, chromedp.KeyEvent("Ada\r"))
	require.Equal(t, "Ada", tab.text(t, "#name"))
}

// startChromium starts a browser with an empty profile, which ends with the test.
func startChromium(t *testing.T) context.Context {
	t.Helper()
	path := findChromium(t)
	options := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
	options = append(options,
		chromedp.ExecPath(path),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.NoSandbox, // it refuses to run as root with one
		chromedp.DisableGPU,
		chromedp.Flag("headless", "new"),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-quic", true),
		chromedp.WSURLReadTimeout(time.Minute),
	)
	ctx, stop := context.WithTimeout(context.Background(), 3*time.Minute) // the browser ends after the test's context
	t.Cleanup(stop)
	ctx, stop = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	require.NoError(t, chromedp.Do(ctx))
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("ending Chromium: %v", err)
		}
	})
	return ctx
}

func findChromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if required() {
		t.Fatal("Chromium is not installed; `make deps` installs what the tests need")
	}
	t.Skip("Chromium is not installed; `make deps` installs what the tests need")
	return ""
}

// tab is a tab in a profile of its own: it shares no cookie with the others.
type tab struct {
	ctx  context.Context
	base string

	mu       sync.Mutex
	trouble  []string // what the console says
	strayed  []string // requests that left the site
	requests int
}

func newTab(t *testing.T, chrome context.Context, base string) *tab {
	t.Helper()
	ctx, stop := chromedp.NewContext(chrome, chromedp.WithNewBrowserContext())
	t.Cleanup(stop)
	b := &tab{ctx: ctx, base: base}
	err := chromedp.Listen(ctx, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *log.EventEntryAdded:
			b.trouble = append(b.trouble, e.Entry.Text)
		case *runtime.EventExceptionThrown:
			b.trouble = append(b.trouble, e.ExceptionDetails.Text)
		case *network.EventRequestWillBeSent:
			b.requests++
			if !strings.HasPrefix(e.Request.URL, base+"/") {
				b.strayed = append(b.strayed, e.Request.URL)
			}
		}
	})
	require.NoError(t, err)
	return b
}

func (b *tab) do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	require.NoError(t, chromedp.Do(b.ctx, steps...))
}

// ask runs an action that has an answer.
func ask[T any](t *testing.T, b *tab, action chromedp.Action[T]) T {
	t.Helper()
	answer, err := chromedp.Run(b.ctx, action)
	require.NoError(t, err)
	return answer
}

// navigate does what leads to another page, and waits until that is there.
func (b *tab) navigate(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	_, err := chromedp.RunResponse(b.ctx, steps...)
	require.NoError(t, err)
}

func (b *tab) open(t *testing.T, path string) {
	t.Helper()
	b.do(t, chromedp.Navigate(b.base+path))
}

// emulate makes the system's color scheme "light" or "dark".
func (b *tab) emulate(t *testing.T, scheme string) {
	t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	require.NoError(t, err)
}

func (b *tab) click(t *testing.T, selector string) {
	t.Helper()
	b.navigate(t, chromedp.Click(chromedp.CSS(selector)))
}

func (b *tab) signIn(t *testing.T, name string) {
	t.Helper()
	b.open(t, "/sign-in")
	b.do(t, chromedp.SendKeys(chromedp.CSS("#name"), name))
	b.click(t, ".stacked button")
	require.Equal(t, name, b.text(t, "#name"))
}

func (b *tab) text(t *testing.T, selector string) string {
	t.Helper()
	return ask(t, b, chromedp.Text(chromedp.CSS(selector)))
}

func (b *tab) path(t *testing.T) string {
	t.Helper()
	return b.eval(t, `location.pathname`)
}

func (b *tab) eval(t *testing.T, script string) string {
	t.Helper()
	return ask(t, b, chromedp.Evaluate[string](script))
}

func (b *tab) count(t *testing.T, selector string) int {
	t.Helper()
	return ask(t, b, chromedp.Evaluate[int](fmt.Sprintf("document.querySelectorAll(%q).length", selector)))
}

// requireFits wants the page to be no wider than the screen, and what is to be tapped to be large enough.
func (b *tab) requireFits(t *testing.T, width int64) {
	t.Helper()
	require.Equal(t, width, ask(t, b, chromedp.Evaluate[int64](`innerWidth`)))
	wide := ask(t, b, chromedp.Evaluate[int64](`document.documentElement.scrollWidth`))
	require.LessOrEqual(t, wide, width, "%s scrolls sideways", b.path(t))
	small := ask(t, b, chromedp.Evaluate[[]string](`[...document.querySelectorAll("button, input, nav a")]
		.filter(e => e.getBoundingClientRect().height < 44 || e.getBoundingClientRect().width < 44).map(e => e.outerHTML)`))
	require.Empty(t, small, "too small to tap on %s", b.path(t))
}

// requireClean wants nothing in the console, such as a breach of the content security policy, and no request elsewhere.
func (b *tab) requireClean(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(t, b.trouble)
	require.Empty(t, b.strayed)
	require.Positive(t, b.requests)
}
