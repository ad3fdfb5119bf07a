package vmtest

import (
	"context"
	"fmt"
	"os"
)

// AccelEnv names the environment variable that chooses QEMU's accelerator: kvm, tcg, or auto (the default).
const AccelEnv = "VMTEST_ACCEL"

func (k *Kit) chooseAccel(context.Context) error {
	switch want := os.Getenv(AccelEnv); want {
	case accelKVM, accelTCG:
		k.accel = want
	case "", "auto":
		k.accel = accelTCG
	default:
		return fmt.Errorf("%s=%s: want kvm, tcg or auto", AccelEnv, want)
	}
	return nil
}
