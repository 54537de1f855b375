// Reads snippets for Istio into the messages of Istio's own API, which know no other key and no other type, and prints the providers
// of each file that are defined and those that are used.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	mesh "istio.io/api/mesh/v1alpha1"
	telemetry "istio.io/api/telemetry/v1alpha1"
	"sigs.k8s.io/yaml"
)

type object struct {
	ApiVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Metadata   json.RawMessage `json:"metadata"`
	Spec       json.RawMessage `json:"spec"`
}

func must(err error) {
	if err != nil {
		log.Panic(err)
	}
}

// What the mesh's configuration defines.
func defined(spec json.RawMessage) []string {
	var operator struct {
		MeshConfig json.RawMessage `json:"meshConfig"`
	}
	must(strict(spec, &operator))
	var config mesh.MeshConfig
	must(protojson.Unmarshal(operator.MeshConfig, &config))
	var names []string
	for _, provider := range config.ExtensionProviders {
		names = append(names, provider.Name)
	}
	return names
}

// What a Telemetry uses.
func used(spec json.RawMessage) []string {
	var config telemetry.Telemetry
	must(protojson.Unmarshal(spec, &config))
	var names []string
	for _, logging := range config.AccessLogging {
		for _, provider := range logging.Providers {
			names = append(names, provider.Name)
		}
	}
	for _, tracing := range config.Tracing {
		for _, provider := range tracing.Providers {
			names = append(names, provider.Name)
		}
	}
	return names
}

func strict(text json.RawMessage, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

func main() {
	for _, name := range os.Args[1:] {
		text, err := os.ReadFile(name)
		must(err)
		var found [2][]string
		for _, document := range strings.Split(string(text), "\n---\n") {
			text, err := yaml.YAMLToJSONStrict([]byte(document))
			must(err)
			var told object
			must(strict(text, &told))
			switch told.ApiVersion + " " + told.Kind {
			case "install.istio.io/v1alpha1 IstioOperator":
				found[0] = append(found[0], defined(told.Spec)...)
			case "telemetry.istio.io/v1 Telemetry":
				found[1] = append(found[1], used(told.Spec)...)
			default:
				log.Panicf("%s: a %s of %s", name, told.Kind, told.ApiVersion)
			}
		}
		for _, names := range found {
			slices.Sort(names)
			fmt.Println(strings.Join(slices.Compact(names), " "))
		}
	}
}
