package block

import (
	"sync"

	"filippo.io/edwards25519"
	gf "filippo.io/edwards25519/field"
)

// multiples are the multiples of a point P that any other is the sum of: [i][j] is (j+1)·256^i·P. They take 480 KiB.
type multiples [32][128]affine

// affine is a point (x, y) in the form that is the quickest to add.
type affine struct{ yPlusX, yMinusX, xy2d gf.Element }

// extended is a point (X/Z, Y/Z) with T = XY/Z.
type extended struct{ X, Y, Z, T gf.Element }

// twiceD is 2d, of the curve's equation -x² + y² = 1 + dx²y², where d = -121665/121666.
var twiceD = sync.OnceValue(func() *gf.Element {
	one := new(gf.Element).One()
	over := new(gf.Element).Mult32(one, 121666)
	d := new(gf.Element).Mult32(one, 121665)
	d.Multiply(d.Negate(d), over.Invert(over))
	return d.Add(d, d)
})

var basepoint = sync.OnceValue(func() *multiples { return multiplesOf(edwards25519.NewGeneratorPoint()) })

func multiplesOf(p *edwards25519.Point) *multiples {
	m := new(multiples)
	for i := range m {
		var row [len(m[i])]extended
		sum := edwards25519.NewIdentityPoint()
		for j := range row {
			x, y, z, t := sum.Add(sum, p).ExtendedCoordinates()
			row[j] = extended{*x, *y, *z, *t}
		}
		normalize(row[:])
		for j := range row {
			q, to := &row[j], &m[i][j]
			to.yPlusX.Add(&q.Y, &q.X)
			to.yMinusX.Subtract(&q.Y, &q.X)
			to.xy2d.Multiply(to.xy2d.Multiply(&q.X, &q.Y), twiceD())
		}
		p = new(edwards25519.Point).Add(sum, sum)
	}
	return m
}

// normalize makes all X and Y affine: Z and T are of no use afterwards. There is one inversion for all: each Z is inverted as the inverse of
// the product of all of them times the product of the others.
func normalize(points []extended) {
	before := make([]gf.Element, len(points)) // product of the Z before
	product := new(gf.Element).One()
	for i := range points {
		before[i].Set(product)
		product.Multiply(product, &points[i].Z)
	}
	inverse := product.Invert(product)
	for i := len(points) - 1; i >= 0; i-- {
		p := &points[i]
		own := new(gf.Element).Multiply(inverse, &before[i])
		inverse.Multiply(inverse, &p.Z)
		p.X.Multiply(&p.X, own)
		p.Y.Multiply(&p.Y, own)
	}
}

// setNeutral makes v the neutral point.
func (v *extended) setNeutral() {
	*v = extended{}
	v.Y.One()
	v.Z.One()
}

// bytes returns the encoding of a normalized v, the usual one.
func (v *extended) bytes() []byte {
	b := v.Y.Bytes()
	b[31] |= byte(v.X.IsNegative() << 7)
	return b
}

// addMultiple adds x·P to v: one addition for each byte of x. A byte above 128 is taken as what is missing to 256, which is carried into the
// next one; the last byte of a scalar is at most 16.
func (v *extended) addMultiple(m *multiples, x *edwards25519.Scalar) {
	carry := 0
	for i, b := range x.Bytes() {
		digit := int(b) + carry
		carry = 0
		if digit > 128 {
			digit, carry = digit-256, 1
		}
		switch {
		case digit > 0:
			v.add(&m[i][digit-1], false)
		case digit < 0:
			v.add(&m[i][-digit-1], true)
		}
	}
}

// add adds q, or its negative, to v: the unified addition of "Twisted Edwards Curves Revisited" (Hisil, Wong, Carter, Dawson; section 3.1)
// with an affine q. It holds for all points of this curve.
func (v *extended) add(q *affine, negative bool) {
	plus, minus := &q.yPlusX, &q.yMinusX
	if negative { // -(x, y) is (-x, y)
		plus, minus = minus, plus
	}
	var a, b, c, d, f, g gf.Element
	a.Multiply(a.Subtract(&v.Y, &v.X), minus)
	b.Multiply(b.Add(&v.Y, &v.X), plus)
	c.Multiply(&v.T, &q.xy2d)
	d.Add(&v.Z, &v.Z)
	f.Subtract(&d, &c)
	g.Add(&d, &c)
	if negative {
		f, g = g, f
	}
	c.Subtract(&b, &a) // E
	d.Add(&b, &a)      // H
	v.X.Multiply(&c, &f)
	v.Y.Multiply(&g, &d)
	v.Z.Multiply(&f, &g)
	v.T.Multiply(&c, &d)
}
