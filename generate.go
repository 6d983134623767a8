package entsession

// Rebuilds the models in ent/ from ent/schema. The migrations follow with `make migrations NAME=what_changed`.
//go:generate go run ./internal/cmd/generate
