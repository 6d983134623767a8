package fiberv2_test

import (
	"github.com/gofiber/fiber/v2"

	"github.com/entsession/entsession/fiberstore"
)

var _ fiber.Storage = (*fiberstore.Storage)(nil)
