import Testing

@testable import WeightFormats

@Suite struct PickleWriterTests {
  /// What Python's `pickle.dumps(value, 2)` gives.
  @Test(
    arguments: [
      (0, [0x4B, 0]), (255, [0x4B, 255]), (256, [0x4D, 0, 1]), (65535, [0x4D, 255, 255]), (65536, [0x4A, 0, 0, 1, 0]),
      (-1, [0x4A, 255, 255, 255, 255]), (1 << 31, [0x8A, 5, 0, 0, 0, 128, 0]),
      (-(1 << 31) - 1, [0x8A, 5, 255, 255, 255, 127, 255]),
      (1 << 39, [0x8A, 6, 0, 0, 0, 0, 128, 0]), (-(1 << 39), [0x8A, 5, 0, 0, 0, 0, 128]),
      (.max, [0x8A, 8, 255, 255, 255, 255, 255, 255, 255, 127]),
    ] as [(Int, [UInt8])])
  func `integers take as many bytes as Python gives them`(value: Int, bytes: [UInt8]) {
    var pickle = PickleWriter()
    pickle.integer(value)
    #expect(pickle.finish() == [0x80, 2] + bytes + [UInt8(ascii: ".")])
  }

  /// `pickle.dumps(((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)), 2)`, and a text that comes again.
  @Test func `tuples and repeated texts are written as Python does`() {
    var pickle = PickleWriter()
    pickle.tuple(count: 5) { pickle in
      for count in 0...4 { pickle.tuple((0..<count).map { $0 + 1 }) }
    }
    let expected: [UInt8] =
      [0x80, 2] + Array("()K\u{1}".utf8) + [0x85] + Array("q\0K\u{1}K\u{2}".utf8) + [0x86]
      + Array("q\u{1}K\u{1}K\u{2}K\u{3}".utf8) + [0x87]
      + Array("q\u{2}(K\u{1}K\u{2}K\u{3}K\u{4}tq\u{3}tq\u{4}.".utf8)
    #expect(pickle.finish() == expected)
    var texts = PickleWriter()
    texts.internedText("cpu")
    texts.internedText("cpu")
    texts.text("cpu")
    #expect(
      texts.finish()
        == [0x80, 2] + Array("X\u{3}\0\0\0cpuq\0h\0X\u{3}\0\0\0cpuq\u{1}.".utf8))
  }
}
