import Foundation
import TestSupport
import Testing

@testable import ChestXray

/// Expected pixels: Pillow 13 (`Tools/make-fixtures/images.py`).
@Suite struct PNGDecoderTests {
  @Test(
    "every kind of PNG decodes to Pillow's values",
    arguments: [
      ("gray1", 1), ("gray2", 1), ("gray4", 1), ("gray8", 1), ("gray-alpha8", 1), ("gray-interlaced", 1), ("rgb8", 3),
      ("rgba8", 3), ("palette4", 3), ("palette8", 3), ("palette-transparent", 3), ("gray16", 1), ("gray-alpha16", 1),
      ("rgb16", 3), ("rgba16", 3),
    ])
  func kinds(name: String, channels: Int) throws {
    let image = try radiograph("\(name).png")
    #expect((image.width, image.height, image.channels) == (61, 47, channels))
    #expect(image.pixels == (try imageFixture("\(name).61x47.\(channels).u8")))
  }

  static let damages: [(String, ImageFault)] = [
    ("empty", .empty), ("text", .unknownFormat(firstBytes: Array("this is ".utf8))), ("dicom", .dicom),
    ("truncated-header", .truncated(row: 0, rows: 0)), ("truncated-pixels", .truncated(row: 16, rows: 47)),
    ("truncated-end", .truncated(row: 46, rows: 47)), ("wrong-crc", .damaged(row: 46, reason: "CRC error")),
    ("wrong-adler", .damaged(row: 8, reason: "incorrect data check")),
    ("wrong-adler-apart", .damaged(row: 8, reason: "incorrect data check")),
    ("no-adler", .damaged(row: 8, reason: "Not enough image data")),
    ("wrong-filter", .damaged(row: 0, reason: "bad adaptive filter value")),
    ("wrong-stream", .damaged(row: 0, reason: "incorrect header check")),
    ("short-stream", .damaged(row: 5, reason: "Not enough image data")),
    ("no-palette", .damaged(row: 0, reason: "Missing PLTE")),
    ("beyond-palette", .damaged(row: 8, reason: "a pixel's colour is not in the palette")),
    ("zero-width", .damaged(row: 0, reason: "Invalid IHDR data")), ("too-wide", .tooLarge(width: 16385, height: 1)),
    ("too-many-pixels", .tooLarge(width: 16384, height: 16384)), ("promises-too-much", .truncated(row: 0, rows: 10000)),
  ]

  @Test("every damage is told apart, with the row", arguments: damages)
  func damaged(name: String, fault: ImageFault) throws {
    let path = fixture("images/damaged/\(name).bin")
    let error = #expect(throws: ChestXrayError.self) { try Radiograph.read(path) }
    if case .damaged(let row, let words) = fault, case .image(path, .damaged(row, let reason)) = error {
      // libpng's words differ a little between its versions.
      #expect(reason.contains(words))
    } else {
      #expect(error == .image(path: path, fault))
    }
  }

  @Test("no image, cut anywhere, decodes or crashes", arguments: ["gray8", "rgba8", "palette4", "gray-interlaced"])
  func everyTruncation(name: String) throws {
    let bytes = try imageFixture("\(name).png")
    for count in stride(from: 0, to: bytes.count, by: 3) {
      #expect(throws: ChestXrayError.self, "\(count) bytes") {
        try Radiograph.decode(Array(bytes[..<count]), path: name)
      }
    }
  }

  @Test("no image with one wrong bit decodes", arguments: ["gray8", "palette4", "gray-interlaced"])
  func everyBitFlip(name: String) throws {
    let bytes = try imageFixture("\(name).png")
    // Lengths, types, data and checksums of all chunks; the signature is `ImageFormat`'s.
    for index in stride(from: 8, to: bytes.count, by: 2) {
      var flipped = bytes
      flipped[index] ^= 1 << UInt8(index / 2 % 8)
      #expect(throws: ChestXrayError.self, "byte \(index)") { try Radiograph.decode(flipped, path: name) }
    }
  }

  @Test("a missing image is a missing input")
  func missing() throws {
    let error = #expect(throws: ChestXrayError.self) { try Radiograph.read("/nowhere/image.png") }
    #expect(error?.diagnosis.exit == .inputMissing)
  }

  @Test("an error tells the exit status, the file, and the command that converts it")
  func words() {
    let dicom = ChestXrayError.image(path: "scans/a.dcm", .dicom).diagnosis
    #expect(dicom.id == "image.dicom")
    #expect(dicom.exit == .badData)
    #expect(dicom.file == "scans/a.dcm")
    #expect(
      dicom.hint
        == "convert it with DCMTK (Debian: dcmtk): dcmj2pnm --write-png --min-max-window scans/a.dcm a.png")
    let truncated = ChestXrayError.image(path: "a\u{1b}[2J.png", .truncated(row: 3, rows: 8)).diagnosis
    #expect(truncated.message == "a\\u{1b}[2J.png is truncated: the file ends inside row 4 of 8")
  }
}
