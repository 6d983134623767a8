package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBrowserName(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		firefox: "Firefox on Linux",
		safari:  "Safari on iPhone",
		edge:    "Edge on Windows",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile Safari/537.36":                        "Chrome on Android",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15":                  "Safari on macOS",
		"Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/138.0.7204.119 Mobile/15E148 Safari/604.1": "Chrome on iPad",
		"curl/8.14.1":                  "curl",
		"":                             "Unknown browser",
		strings.Repeat("x", 1<<20):     "Unknown browser",
		"\xff<script> (Windows NT 10)": "Unknown browser on Windows",
	} {
		require.Equal(t, want, browserName(agent))
	}
}

func TestAgo(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Hour:                    "just now",
		59 * time.Second:              "just now",
		time.Minute:                   "1 minute ago",
		59*time.Minute + time.Second:  "59 minutes ago",
		time.Hour:                     "1 hour ago",
		47 * time.Hour:                "47 hours ago",
		48 * time.Hour:                "2 days ago",
		30*24*time.Hour + time.Minute: "30 days ago",
	} {
		require.Equal(t, want, ago(d), d)
	}
}
