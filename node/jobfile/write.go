package jobfile

import (
	"io"
	"strconv"

	"go.yaml.in/yaml/v3"

	"souk/internal/money"
	"souk/internal/quantity"
)

// The shape of a job file. Every value is text, which the parser reads as it stands.
type document struct {
	Name    string        `yaml:"name"`
	Task    documentTask  `yaml:"task"`
	Inputs  []documentIn  `yaml:"inputs,omitempty"`
	Outputs string        `yaml:"outputs,omitempty"`
	Needs   documentNeeds `yaml:"needs"`
	Limits  documentLimit `yaml:"limits"`
	Verify  documentCheck `yaml:"verify,omitempty"`
	Region  string        `yaml:"region"`
	Retries int           `yaml:"retries"`
}

type documentTask struct {
	WASM     string            `yaml:"wasm,omitempty"`
	Image    string            `yaml:"image,omitempty"`
	Args     []string          `yaml:"args,omitempty,flow"`
	Env      map[string]string `yaml:"env,omitempty"`
	RealTime bool              `yaml:"realTime,omitempty"`
}

type documentIn struct {
	Path string `yaml:"path,omitempty"`
	CID  string `yaml:"cid,omitempty"`
	At   string `yaml:"at"`
}

type documentNeeds struct {
	CPU            int    `yaml:"cpu"`
	Memory         string `yaml:"memory"`
	Disk           string `yaml:"disk"`
	GPU            string `yaml:"gpu,omitempty"`
	VRAM           string `yaml:"vram,omitempty"`
	AllowSimulated bool   `yaml:"allowSimulated,omitempty"`
	Exclusive      bool   `yaml:"exclusive,omitempty"`

	Egress []string `yaml:"egress,omitempty,flow"`
}

type documentCheck struct {
	Challenge bool `yaml:"challenge,omitempty"`
}

type documentLimit struct {
	Time  string `yaml:"time"`
	Price string `yaml:"price,omitempty"`
	Total amount `yaml:"total"`
}

// amount is written without quotes.
type amount string

func (a amount) MarshalYAML() (any, error) {
	return &yaml.Node{Kind: yaml.ScalarNode, Value: string(a)}, nil
}

// Write writes s as a job file with every default in it. Reading it gives s
// again, but for the platform of an image that is pulled.
func (s Spec) Write(w io.Writer) error {
	doc := document{
		Name:    s.Name,
		Task:    documentTask{WASM: s.WASM, Args: s.Args, Env: s.Env, RealTime: s.RealTime},
		Outputs: s.Outputs,
		Needs: documentNeeds{
			CPU: s.CPU, Memory: quantity.Format(s.Memory), Disk: quantity.Format(s.Disk), AllowSimulated: s.AllowSimulated, Exclusive: s.Exclusive, Egress: s.Egress,
		},
		Limits: documentLimit{Time: s.Time.String(), Total: amount(money.Format(s.Total))},
		Region: s.Region, Retries: s.Retries,
	}
	doc.Verify.Challenge = s.Verify.Challenge
	if s.Image != nil {
		doc.Task.Image = s.Image.Ref + s.Image.Path
	}
	for _, in := range s.Inputs {
		doc.Inputs = append(doc.Inputs, documentIn(in))
	}
	if s.GPU != nil {
		doc.Needs.GPU = s.GPU.Name + ":" + strconv.Itoa(s.GPU.Count)
		if s.GPU.VRAM > 0 {
			doc.Needs.VRAM = quantity.Format(s.GPU.VRAM)
		}
	}
	if s.Price != nil {
		doc.Limits.Price = money.FormatPrice(*s.Price)
	}
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(doc); err != nil {
		return err
	}
	return enc.Close()
}
