package quantity

import (
	"fmt"
	"strconv"
	"strings"
)

// leastMeant is the least that somebody means by a size of memory or of a disk.
const leastMeant = 1 << 20

// Meant is Parse for what people write, who leave units out: "8" would be
// 8 bytes. It refuses a size below 1 MiB, other than 0, and names what was
// most likely meant.
func Meant(text string) (int64, error) {
	n, err := Parse(text)
	if err == nil && n > 0 && n < leastMeant {
		text = strings.TrimSpace(text)
		return 0, fmt.Errorf("%s is %d bytes: write %s", text, n, withUnit(text))
	}
	return n, err
}

// withUnit is what a size below leastMeant most likely means.
func withUnit(text string) string {
	if n, err := strconv.Atoi(text); err == nil && n < 1024 {
		return text + "GiB"
	} else if err == nil {
		return text + "MiB"
	}
	return "1MiB or more"
}
