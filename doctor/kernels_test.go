package doctor

import "testing"

func TestJudgeKernel(t *testing.T) {
	for uname, bad := range map[string]bool{
		"4.4.0-210-generic": true, "5.4.7": true, "5.4.8": false, "5.10.0-30-amd64": true, "6.1.0-37-amd64": false,
		"6.6.101": false, "6.12.36": true, "6.12.42": true, "6.12.93": true, "6.12.94": false, "6.12": true,
		"6.15.1": false, "6.15.2": true, "6.15.9-zen": true, "6.16.0": true, "6.16.1": false, "6.18.44": false,
		"7.0-rc3": false, "7.0.0": false, "": false, "linux": false, "6": false, "6.": false, ".": false,
	} {
		problem, fixed := judgeKernel(uname)
		if (problem != "") != bad || bad && fixed == (release{}) {
			t.Errorf("%q: %q, fixed in %s", uname, problem, fixed)
		}
	}
}
