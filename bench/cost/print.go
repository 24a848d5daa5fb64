package cost

import (
	"fmt"
	"strconv"
)

// Count writes n with commas between thousands.
func Count[N int | int64](n N) string {
	digits := strconv.FormatInt(int64(n), 10)
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return sign + digits
}

// Bytes writes a size with three digits or so and its unit.
func Bytes(n float64) string {
	const step = 1024
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	unit := 0
	for ; n >= step && unit < len(units)-1; unit++ {
		n /= step
	}
	decimals := 2
	if n >= 100 || unit == 0 {
		decimals = 0
	} else if n >= 10 {
		decimals = 1
	}
	return fmt.Sprintf("%.*f %s", decimals, n, units[unit])
}
