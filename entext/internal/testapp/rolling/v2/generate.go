package v2

//go:generate go tool entgen ./schema
