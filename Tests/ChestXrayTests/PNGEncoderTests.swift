import Platform
import Testing

@testable import ChestXray

@Suite struct PNGEncoderTests {
  @Test(
    "what is encoded decodes to the same pixels",
    arguments: [(1, 1), (1, 300), (300, 1), (37, 53), (1024, 1024)], ["noise", "black", "ramp"])
  func roundTrip(size: (width: Int, height: Int), content: String) throws {
    var random = CounterRandom(seed: 1, purpose: .syntheticRadiograph)
    let pixels = (0..<size.width * size.height).map { index -> UInt8 in
      switch content {
      case "noise": UInt8(truncatingIfNeeded: random.next32())
      case "ramp": UInt8(truncatingIfNeeded: index)
      default: 0
      }
    }
    let image = Radiograph(width: size.width, height: size.height, channels: 1, pixels: pixels)
    let bytes = try PNGEncoder.encode(image, path: "test.png")
    #expect(try Radiograph.decode(bytes, path: "test.png") == image)
  }

  @Test("the file is 8-bit gray and not interlaced")
  func header() throws {
    let image = Radiograph(width: 3, height: 2, channels: 1, pixels: [0, 50, 100, 150, 200, 250])
    let bytes = try PNGEncoder.encode(image, path: "test.png")
    // Signature, length and type of IHDR; width, height, depth, colour type, compression, filter, interlacing.
    #expect(Array(bytes[12..<29]) == [73, 72, 68, 82, 0, 0, 0, 3, 0, 0, 0, 2, 8, 0, 0, 0, 0])
  }

  @Test("three channels come back as they were")
  func colours() throws {
    var random = CounterRandom(seed: 2, purpose: .syntheticRadiograph)
    let pixels = (0..<3 * 31 * 17).map { _ in UInt8(truncatingIfNeeded: random.next32()) }
    let image = Radiograph(width: 31, height: 17, channels: 3, pixels: pixels)
    #expect(try Radiograph.decode(try image.png(path: "test.png"), path: "test.png") == image)
  }

  /// Of a smooth picture, at a quality of 95, libjpeg's steps are 1 or 2 for its low frequencies.
  @Test("a JPEG comes back nearly as it was", arguments: [1, 3])
  func jpeg(channels: Int) throws {
    var pixels: [UInt8] = []
    for y in 0..<48 { for x in 0..<64 { for c in 0..<channels { pixels.append(UInt8(2 * x + y + 20 * c)) } } }
    let image = Radiograph(width: 64, height: 48, channels: channels, pixels: pixels)
    let decoded = try Radiograph.decode(try image.jpeg(quality: 95, path: "test.jpg"), path: "test.jpg")
    #expect((decoded.width, decoded.height, decoded.channels) == (64, 48, channels))
    #expect(zip(decoded.pixels, pixels).allSatisfy { abs(Int($0) - Int($1)) <= 6 })
  }
}
