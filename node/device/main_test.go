package device

import (
	"bufio"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// holdEnv makes the test's own program a second process that offers a device.
const holdEnv = "DEVICE_TEST_HOLD"

func TestMain(m *testing.M) {
	if id := os.Getenv(holdEnv); id != "" {
		os.Exit(holdUntilTold(id))
	}
	goleak.VerifyTestMain(m)
}

// holdUntilTold takes a device's lock, says so, and waits for a line.
func holdUntilTold(id string) int {
	if _, err := lockDevice(id); err != nil {
		fmt.Fprintln(os.Stdout, err)
		return 1
	}
	fmt.Fprintln(os.Stdout, "held")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	return 0
}
