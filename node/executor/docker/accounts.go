package docker

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// accounts are this provider's credentials, by registry.
type accounts map[string]authn.AuthConfig

const hub = "https://index.docker.io/v1/" // Docker Hub, as config.json knows it

// credentials reads a Docker config.json. Its credential helpers are not asked:
// they are programs of the desktop.
func credentials(path string) (accounts, error) {
	if path == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the registry credentials can't be read: %w", err)
	}
	var file struct {
		Auths accounts `json:"auths"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		return nil, fmt.Errorf("%s is no Docker config.json with registry credentials: %w", path, err)
	}
	return file.Auths, nil
}

func (a accounts) of(host string) (authn.AuthConfig, bool) {
	keys := []string{host, "https://" + host, "http://" + host}
	if host == name.DefaultRegistry {
		keys = append(keys, hub, "docker.io")
	}
	for _, k := range keys {
		if c, ok := a[k]; ok {
			return c, true
		}
	}
	return authn.AuthConfig{}, false
}

// Resolve implements authn.Keychain.
func (a accounts) Resolve(r authn.Resource) (authn.Authenticator, error) {
	if c, ok := a.of(r.RegistryStr()); ok {
		return authn.FromConfig(c), nil
	}
	return authn.Anonymous, nil
}
