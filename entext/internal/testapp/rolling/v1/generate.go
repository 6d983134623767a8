package v1

//go:generate go tool entgen ./schema
