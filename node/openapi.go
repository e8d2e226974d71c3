package node

import (
	_ "embed"
	"net/http"
)

// openAPI describes all that a node serves, for people and for tools that make clients of it.
//
//go:embed openapi.json
var openAPI []byte

func getOpenAPI(w http.ResponseWriter, _ *http.Request) { send(w, http.StatusOK, openAPI) }
