// Package entsession keeps server-side sessions in the application's own SQL database.
package entsession
