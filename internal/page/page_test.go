package page

import (
	"io/fs"
	"regexp"
	"testing"
)

// The pages are small, and name no other host.
func TestFiles(t *testing.T) {
	size := 0
	elsewhere := regexp.MustCompile(`(?i)(src|href|url|import|from|fetch)\s*[=("']+\s*(https?:)?//`)
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|<script[^>]*>[^<]`)
	html := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(`)
	err := fs.WalkDir(static, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(static, path)
		if err != nil {
			return err
		}
		size += len(text)
		for name, bad := range map[string]*regexp.Regexp{"asks another host": elsewhere, "has code or style in it, which the browser refuses": inline, "makes elements of text": html} {
			if at := bad.Find(text); at != nil {
				t.Errorf("%s %s: %s", path, name, at)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if size > 100<<10 || size == 0 {
		t.Errorf("the pages have %d bytes, want some, and at most 100 KiB", size)
	}
}
