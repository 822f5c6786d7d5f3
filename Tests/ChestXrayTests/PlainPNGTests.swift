import Platform
import Testing

@testable import ChestXray

/// Expected pixels: libpng's.
@Suite struct PlainPNGTests {
  @Test("every filter, alone and mixed, gives libpng's pixels in images of any width", arguments: PixelLevel.all)
  func filters(level: PixelLevel) throws {
    for width in 1...200 {
      var random = CounterRandom(seed: 1, purpose: .shuffle, sample: width)
      // One image in four is RGBA, whose groups have fewer rows.
      let samples = width % 4 == 3 ? 4 : 1
      // Two groups of the largest and a rest, or less than one.
      let height = width % 8 == 0 ? 129 + random.below(63) : 1 + random.below(40)
      // All five alone, and any mixture.
      let filter = width % 6
      var raw: [UInt8] = []
      for _ in 0..<height {
        raw.append(UInt8(filter == 5 ? random.below(5) : filter))
        for _ in 0..<width * samples { raw.append(UInt8(random.below(256))) }
      }
      var png = TestPNG(width: width, height: height, raw: raw)
      if samples == 4 { png.header[9] = 6 }
      let file = png.file
      let image = try #require(PlainPNG.decode(file, level: level.value), "width \(width)")
      #expect(try image == PNGDecoder.decodeByLibrary(file, path: ""), "width \(width), height \(height)")
    }
  }

  @Test("neighbours that are equal, or far apart, give libpng's pixels by every filter", arguments: PixelLevel.all)
  func ties(level: PixelLevel) throws {
    // Few values, so that Paeth's three distances often tie; the extremes, so that they are as large as they can be.
    let values: [UInt8] = [0, 1, 2, 127, 128, 254, 255]
    var random = CounterRandom(seed: 2, purpose: .shuffle)
    var raw: [UInt8] = []
    for _ in 0..<150 {
      raw.append(UInt8(random.below(5)))
      for _ in 0..<300 { raw.append(values[random.below(values.count)]) }
    }
    let file = TestPNG(width: 300, height: 150, raw: raw).file
    let image = try #require(PlainPNG.decode(file, level: level.value))
    #expect(try image == PNGDecoder.decodeByLibrary(file, path: ""))
  }

  @Test("pieces and ancillary chunks, in any number, change nothing")
  func chunks() throws {
    let png = TestPNG(width: 9, height: 70)
    let plain = try #require(PlainPNG.decode(png.file))
    #expect(try plain == PNGDecoder.decodeByLibrary(png.file, path: ""))
    var other = png
    other.before = [("gAMA", [0, 0, 177, 143]), ("tRNS", [0, 6]), ("tEXt", Array("Title\0lungs".utf8))]
    other.pieces = [1, 2, 3, 20]
    other.after = [("tIME", [7, 233, 1, 1, 0, 0, 0]), ("prVt", [1, 2, 3])]
    #expect(PlainPNG.decode(other.file) == plain)
    #expect(try plain == PNGDecoder.decodeByLibrary(other.file, path: ""))
  }

  struct Change: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var apply: @Sendable (inout TestPNG) -> Void

    init(_ name: String, _ apply: @escaping @Sendable (inout TestPNG) -> Void) {
      testDescription = name
      self.apply = apply
    }
  }

  static let changes: [Change] = [
    Change("two headers") { $0.before = [("IHDR", $0.header)] },
    Change("a palette") { $0.before = [("PLTE", [1, 2, 3])] },
    Change("a critical chunk") { $0.before = [("CRIT", [1])] },
    Change("a type that is not letters") { $0.before = [("a1cd", [1])] },
    Change("a large text") { $0.before = [("tEXt", [UInt8](repeating: 65, count: 1 << 20 + 1))] },
    Change("an empty piece") { $0.pieces = [4, 0] },
    Change("pieces apart") { $0.after = [("tEXt", [65, 0]), ("IDAT", [0])] },
    Change("bytes behind the end") { $0.trailing = [0] },
    Change("an end with data") { $0.after = [("IEND", [1])] },
    Change("a row too many") { $0.raw += [UInt8](repeating: 0, count: 10) },
    Change("a row too few") { $0.raw.removeLast(10) },
    Change("a sixth filter") { $0.raw[60] = 5 },
    Change("a filter far off") { $0.raw[0] = 255 },
    Change("a wrong checksum of the stream") { $0.checksum = 1 },
    Change("a narrow window") { $0.window = 0 },
    Change("interlacing") { $0.header[12] = 1 },
    Change("another depth") { $0.header[8] = 4 },
    Change("another colour") { $0.header[9] = 4 },
    Change("another compression") { $0.header[10] = 1 },
    Change("another filter method") { $0.header[11] = 1 },
    Change("a short header") { $0.header.removeLast() },
  ]

  @Test("what is unusual is left to libpng", arguments: changes)
  func unusual(change: Change) {
    // 700 bytes of rows: more than the narrowest window has room for.
    var png = TestPNG(width: 9, height: 70)
    #expect(PlainPNG.decode(png.file) != nil)
    change.apply(&png)
    #expect(PlainPNG.decode(png.file) == nil)
  }

  @Test("no wrong bit and no missing end is accepted")
  func damages() {
    let file = TestPNG(width: 9, height: 7).file
    for index in 8..<file.count {
      var flipped = file
      flipped[index] ^= 1 << UInt8(index % 8)
      #expect(PlainPNG.decode(flipped) == nil, "byte \(index)")
      #expect(PlainPNG.decode(Array(file[..<index])) == nil, "\(index) bytes")
    }
  }
}
