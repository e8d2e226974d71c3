package contracts_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/crypto"

	"headrace/contracts"
	"headrace/l1/ethereum/inbox"
)

type artifact struct {
	Compiler         string          `json:"compiler"`
	ABI              json.RawMessage `json:"abi"`
	Bytecode         string          `json:"bytecode"`
	DeployedBytecode string          `json:"deployedBytecode"`
	Metadata         string          `json:"metadata"`
}

func load(t *testing.T) artifact {
	t.Helper()
	var a artifact
	if err := json.Unmarshal(contracts.Artifact, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// The chain from source to bytecode, without a compiler: the metadata names the source's hash, and the bytecode ends in the metadata's.
func TestArtifactIsOfSource(t *testing.T) {
	a := load(t)
	var meta struct {
		Sources map[string]struct {
			Keccak256 string `json:"keccak256"`
		} `json:"sources"`
	}
	if err := json.Unmarshal([]byte(a.Metadata), &meta); err != nil {
		t.Fatal(err)
	}
	got := meta.Sources["Inbox.sol"].Keccak256
	if want := crypto.Keccak256Hash(contracts.Source).Hex(); got != want {
		t.Errorf("source hash in the artifact: got %s, want %s: run contracts/build.sh", got, want)
	}
	want := hex.EncodeToString(ipfsHash([]byte(a.Metadata)))
	for name, code := range map[string]string{"bytecode": a.Bytecode, "deployedBytecode": a.DeployedBytecode} {
		if !strings.Contains(code[max(0, len(code)-200):], want) {
			t.Errorf("%s does not end in the hash of the metadata, %s", name, want)
		}
	}
	if !strings.HasPrefix(a.Compiler, "0.8.30+") {
		t.Errorf("compiler: got %s, want 0.8.30", a.Compiler)
	}
}

// Inboxes of version 1 are in use, and nodes of today follow them: the record of what they are stays as it was, byte for byte.
func TestVersion1IsAsItWas(t *testing.T) {
	const want = "96e5ccc4e361c96e4ff19455133e4d2916fe8318a1584f353521739bfd57bd5d"
	if got := fmt.Sprintf("%x", sha256.Sum256(contracts.V1)); got != want {
		t.Errorf("testdata/inbox-v1.json has hash %s, want %s", got, want)
	}
	var v1 struct {
		ABI abi.ABI `json:"abi"`
	}
	if err := json.Unmarshal(contracts.V1, &v1); err != nil {
		t.Fatal(err)
	}
	if m, ok := v1.ABI.Methods["forcedMax"]; !ok || m.Sig != "forcedMax()" || len(m.Outputs) != 1 || m.Outputs[0].Type.String() != "uint16" {
		t.Errorf("forcedMax of version 1: got %+v", m)
	}
	now, err := abi.JSON(strings.NewReader(inbox.InboxMetaData.ABI))
	if err != nil {
		t.Fatal(err)
	}
	// What follows, and proposes, uses the bindings of today.
	for name, want := range v1.ABI.Events {
		if got := now.Events[name]; got.ID != want.ID || arguments(got.Inputs) != arguments(want.Inputs) {
			t.Errorf("event %s: got %s, which is not %s of version 1", name, got.Sig, want.Sig)
		}
	}
	for _, name := range []string{"propose", "proposeBlobs", "force", "finalize", "setProposer", "setOwner", "owner", "isProposer", "getCoreState", "getForced", "forcedDue", "forcedDelay"} {
		got, want := now.Methods[name], v1.ABI.Methods[name]
		if got.Sig == "" || got.Sig != want.Sig || arguments(got.Outputs) != arguments(want.Outputs) {
			t.Errorf("method %s: got %s, which is not %s of version 1", name, got.Sig, want.Sig)
		}
	}
}

// arguments are the types of arguments, with those of events that are indexed marked.
func arguments(list abi.Arguments) string {
	var b strings.Builder
	for _, a := range list {
		fmt.Fprintf(&b, "%s indexed=%v, ", a.Type.String(), a.Indexed)
	}
	return b.String()
}

// ipfsHash is the multihash of a file of one chunk: SHA-256 of a protobuf node (field 1 of PBNode) with a UnixFS file (type 2, data, size).
func ipfsHash(data []byte) []byte {
	field := func(dst []byte, tag byte, b []byte) []byte {
		return append(binary.AppendUvarint(append(dst, tag), uint64(len(b))), b...)
	}
	file := field([]byte{0x08, 2}, 0x12, data)
	file = binary.AppendUvarint(append(file, 0x18), uint64(len(data)))
	sum := sha256.Sum256(field(nil, 0x0a, file))
	return append([]byte{0x12, 0x20}, sum[:]...)
}

func TestBindingsAreOfArtifact(t *testing.T) {
	a := load(t)
	want, err := abi.JSON(bytes.NewReader(a.ABI))
	if err != nil {
		t.Fatal(err)
	}
	got, err := abi.JSON(strings.NewReader(inbox.InboxMetaData.ABI))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Methods) != len(want.Methods) || len(got.Events) != len(want.Events) || len(got.Errors) != len(want.Errors) {
		t.Fatal("bindings have another ABI than the artifact")
	}
	for name, m := range want.Methods {
		if got.Methods[name].Sig != m.Sig {
			t.Errorf("method %s: got %s, want %s", name, got.Methods[name].Sig, m.Sig)
		}
	}
	for name, e := range want.Events {
		if got.Events[name].ID != e.ID {
			t.Errorf("event %s: got %s, want %s", name, got.Events[name].Sig, e.Sig)
		}
	}
	if inbox.InboxMetaData.Bin != a.Bytecode {
		t.Error("bindings have another bytecode than the artifact")
	}
}

// With the compiler at hand, everything is built anew and compared byte for byte.
func TestRebuild(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	for _, tool := range []string{"node", "npm", "go"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed: source and artifact are compared by hash only", tool)
		}
	}
	dir := solc(t)
	out := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "./build.sh")
	cmd.Env = append(os.Environ(), "OUT_DIR="+out, "SOLC_DIR="+dir)
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build.sh: %v\n%s", err, b)
	}
	for name, committed := range map[string]string{"Inbox.json": "Inbox.json", "inbox.go": "../l1/ethereum/inbox/inbox.go"} {
		got, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(committed)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: what build.sh makes differs from what is committed: run contracts/build.sh", committed)
		}
	}
}

// solc returns a folder with the compiler in its node_modules: the user's cache, filled by npm at the first run, or a skip without a network.
func solc(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip("no cache folder for the compiler")
	}
	const version = "0.8.30"
	dir := filepath.Join(cache, "headrace", "solc-"+version)
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "solc", "package.json")); err == nil {
		return dir
	}
	tmp, err := os.MkdirTemp("", "solc")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(tmp)
	cmd := exec.CommandContext(t.Context(), "npm", "install", "--prefix", tmp, "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--silent",
		"--fetch-retries=0", "--fetch-timeout=20000", "solc@"+version)
	cmd.WaitDelay = time.Second
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("npm cannot install the compiler (no network?): source and artifact are compared by hash only: %v %s", err, b)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, dir); err != nil { // another file system, or another test was first
		if b, err := exec.Command("cp", "-R", tmp+"/.", dir).CombinedOutput(); err != nil {
			t.Skipf("copy the compiler: %v %s", err, b)
		}
	}
	return dir
}
