// Package gen makes the Go code of a Protobuf file: a compiler in Go reads the file, and the module's own tools
// protoc-gen-go and protoc-gen-go-grpc write the code. So whoever has the module can make the code anew, to the byte.
package gen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// File is a generated file.
type File struct {
	Name    string // without a folder
	Content []byte
}

// Generate returns the code of a Protobuf file, which is known to programs by name.
func Generate(ctx context.Context, file, name string) ([]File, error) {
	source := &protocompile.SourceResolver{Accessor: func(path string) (io.ReadCloser, error) {
		if path != name {
			return nil, fs.ErrNotExist
		}
		return os.Open(file)
	}}
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(source),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	compiled, err := compiler.Compile(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("compile %s: %w", name, err)
	}
	request, err := proto.Marshal(&pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{name},
		Parameter:      proto.String("paths=source_relative"),
		ProtoFile:      withImports(compiled[0], nil),
	})
	if err != nil {
		return nil, err
	}
	var files []File
	for _, tool := range []string{"protoc-gen-go", "protoc-gen-go-grpc"} {
		made, err := run(ctx, tool, request)
		if err != nil {
			return nil, fmt.Errorf("run %s: %w", tool, err)
		}
		files = append(files, made...)
	}
	return files, nil
}

// withImports adds a file to files, behind what it imports.
func withImports(file protoreflect.FileDescriptor, files []*descriptorpb.FileDescriptorProto) []*descriptorpb.FileDescriptorProto {
	if slices.ContainsFunc(files, func(f *descriptorpb.FileDescriptorProto) bool { return f.GetName() == file.Path() }) {
		return files
	}
	for i := range file.Imports().Len() {
		files = withImports(file.Imports().Get(i).FileDescriptor, files)
	}
	return append(files, protoutil.ProtoFromFileDescriptor(file))
}

// run gives the request to a plugin of the Protobuf compiler.
func run(ctx context.Context, tool string, request []byte) ([]File, error) {
	cmd := exec.CommandContext(ctx, "go", "tool", tool)
	cmd.Stdin = bytes.NewReader(request)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, stderr.Bytes())
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(out, &response); err != nil {
		return nil, fmt.Errorf("decode its response: %w", err)
	}
	if response.Error != nil {
		return nil, errors.New(response.GetError())
	}
	var files []File
	for _, f := range response.File {
		files = append(files, File{Name: path.Base(f.GetName()), Content: []byte(f.GetContent())})
	}
	return files, nil
}
