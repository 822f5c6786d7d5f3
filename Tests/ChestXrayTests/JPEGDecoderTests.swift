import TestSupport
import Testing

@testable import ChestXray

/// Expected pixels: Pillow 13 (`Tools/make-fixtures/images.py`).
@Suite struct JPEGDecoderTests {
  @Test(
    "every kind of JPEG decodes to Pillow's values",
    arguments: [
      ("jpeg-gray", 1), ("jpeg-gray-progressive", 1), ("jpeg-444", 3), ("jpeg-422", 3), ("jpeg-420", 3),
      ("jpeg-420-progressive", 3), ("jpeg-rgb", 3),
    ])
  func kinds(name: String, channels: Int) throws {
    let image = try radiograph("\(name).jpg")
    #expect((image.width, image.height, image.channels) == (61, 47, channels))
    #expect(image.pixels == (try imageFixture("\(name).61x47.\(channels).u8")))
  }

  @Test(
    "what the library refuses, or only warns of, is an error with its words",
    arguments: [
      ("jpeg", "Premature end of JPEG file"), ("truncated-jpeg", "Premature end of JPEG file"),
      ("truncated-jpeg-end", "Premature end of JPEG file"), ("corrupt-jpeg", "Corrupt JPEG data"),
      ("promises-too-much-jpeg", "too few bytes for 8192 × 8192 pixels"),
    ])
  func damaged(name: String, words: String) throws {
    let path = fixture("images/damaged/\(name).bin")
    let error = #expect(throws: ChestXrayError.self) { try Radiograph.read(path) }
    guard case .image(path, .damagedJPEG(let reason)) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(reason.contains(words), "\(reason)")
    #expect(error?.diagnosis.id == "image.damaged")
  }

  @Test("four colours and large sides are refused")
  func refused() {
    for (name, fault) in [
      ("cmyk-jpeg", ImageFault.fourColours), ("too-wide-jpeg", .tooLarge(width: 16385, height: 47)),
    ] {
      let path = fixture("images/damaged/\(name).bin")
      let error = #expect(throws: ChestXrayError.self) { try Radiograph.read(path) }
      #expect(error == .image(path: path, fault))
    }
  }

  @Test("no JPEG, cut anywhere, decodes or crashes", arguments: ["jpeg-gray", "jpeg-420", "jpeg-420-progressive"])
  func everyTruncation(name: String) throws {
    let bytes = try imageFixture("\(name).jpg")
    for count in 0..<bytes.count {
      #expect(throws: ChestXrayError.self, "\(count) bytes") {
        try Radiograph.decode(Array(bytes[..<count]), path: name)
      }
    }
  }

  @Test(
    "no wrong bit crashes; an image that still decodes has the size of its header",
    arguments: ["jpeg-gray", "jpeg-420"])
  func everyBitFlip(name: String) throws {
    // JPEG has no checksums: most wrong bits only change pixels.
    let bytes = try imageFixture("\(name).jpg")
    var refused = 0
    for index in 3..<bytes.count {
      var flipped = bytes
      flipped[index] ^= 1 << UInt8(index % 8)
      do {
        let image = try Radiograph.decode(flipped, path: name)
        #expect(image.pixels.count == image.width * image.height * image.channels)
      } catch {
        refused += 1
      }
    }
    #expect(refused > 0 && refused < bytes.count)
  }
}
