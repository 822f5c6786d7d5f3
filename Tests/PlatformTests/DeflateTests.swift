import Platform
import Testing

@Suite struct DeflateTests {
  // Python: zlib.compress(b"densenet densenet densenet", 9), and the same with wbits=-15.
  private let text = Array("densenet densenet densenet".utf8)
  private let raw: [UInt8] = [0x4B, 0x49, 0xCD, 0x2B, 0x4E, 0xCD, 0x4B, 0x2D, 0x51, 0x48, 0x41, 0x67, 0x00, 0x00]
  private let wrapped: [UInt8] = [
    0x78, 0xDA, 0x4B, 0x49, 0xCD, 0x2B, 0x4E, 0xCD, 0x4B, 0x2D, 0x51, 0x48, 0x41, 0x67, 0x00, 0x00, 0x8A, 0x02, 0x0A,
    0x43,
  ]

  @Test func `inflates a whole stream of either form`() {
    #expect(Deflate.inflate(raw, count: text.count, wrapping: .none) == text)
    #expect(Deflate.inflate(wrapped, count: text.count, wrapping: .zlib) == text)
  }

  @Test func `a stream that is not what it should be is nil`() {
    for (stream, wrapping) in [(raw, Deflate.Wrapping.none), (wrapped, .zlib)] {
      for count in [0, text.count - 1, text.count + 1] {
        #expect(Deflate.inflate(stream, count: count, wrapping: wrapping) == nil)
      }
      #expect(Deflate.inflate(stream + [0], count: text.count, wrapping: wrapping) == nil)
      for length in 0..<stream.count {
        #expect(Deflate.inflate(Array(stream[..<length]), count: text.count, wrapping: wrapping) == nil)
      }
    }
    // The last byte is one of the checksum.
    var wrong = wrapped
    wrong[wrong.count - 1] ^= 1
    #expect(Deflate.inflate(wrong, count: text.count, wrapping: .zlib) == nil)
  }

  @Test func `the checksum is that of zip archives and PNG files`() {
    // ISO 3309's check value of the nine digits.
    let digits = Array("123456789".utf8)
    #expect(digits.withUnsafeBytes { Deflate.crc32($0) } == 0xCBF4_3926)
    let first = digits[..<4].withUnsafeBytes { Deflate.crc32($0) }
    #expect(digits[4...].withUnsafeBytes { Deflate.crc32($0, after: first) } == 0xCBF4_3926)
  }
}
