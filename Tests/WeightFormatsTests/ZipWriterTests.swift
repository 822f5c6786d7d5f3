import Foundation
import Platform
import TestSupport
import Testing

@testable import WeightFormats

@Suite struct ZipWriterTests {
  /// Lengths on both sides of the alignment; names of different lengths.
  private static let contents: [(name: String, data: [UInt8])] = [
    ("a/empty", []), ("a/one", [7]), ("a/63", [UInt8](repeating: 1, count: 63)),
    ("a/data/64", [UInt8](repeating: 2, count: 64)), ("a/data/65", [UInt8](repeating: 3, count: 65)),
    ("a/data/last", Array("the last".utf8)),
  ]

  private func write(to path: String, widest: Int = 0xFFFF_FFFF) throws {
    var zip = try ZipWriter(path: path, overwriting: false, widest: widest)
    for (name, data) in Self.contents { try zip.append(name, data) }
    try zip.finish()
  }

  /// Read by the offsets of the format, not by our reader (APPNOTE 4.3.7, 4.3.12 and 4.3.16).
  @Test func `data stand where PyTorch maps them, at multiples of 64, with the right checksum`() throws {
    try inTemporaryFolder { folder in
      try write(to: folder + "/a")
      let bytes = try FileReader.contents(of: folder + "/a")
      func number(_ offset: Int, _ count: Int) -> Int {
        bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | Int($1) }
      }
      let end = bytes.count - 22
      #expect(number(end, 4) == 0x0605_4B50)
      #expect(number(end + 10, 2) == Self.contents.count)
      var entry = number(end + 16, 4)
      for (name, data) in Self.contents {
        #expect(number(entry, 4) == 0x0201_4B50)
        #expect(number(entry + 10, 2) == 0)
        #expect(number(entry + 12, 4) == 0x0021_0000)
        #expect(number(entry + 16, 4) == Int(crc(data)))
        #expect(number(entry + 20, 4) == data.count && number(entry + 24, 4) == data.count)
        let header = number(entry + 42, 4)
        #expect(number(header, 4) == 0x0403_4B50)
        #expect(bytes[header + 14..<header + 26] == bytes[entry + 16..<entry + 28])
        #expect(bytes[header + 30..<header + 30 + name.utf8.count].elementsEqual(name.utf8))
        let extra = header + 30 + name.utf8.count
        #expect(bytes[extra] == UInt8(ascii: "F") && bytes[extra + 1] == UInt8(ascii: "B"))
        #expect(number(extra + 2, 2) == number(header + 28, 2) - 4)
        let start = extra + number(header + 28, 2)
        #expect(bytes[extra + 4..<start].allSatisfy { $0 == UInt8(ascii: "Z") })
        #expect(start % 64 == 0)
        #expect(Array(bytes[start..<start + data.count]) == data)
        entry += 46 + number(entry + 28, 2) + number(entry + 30, 2)
      }
      // The ZIP64 end record and its locator stand between the directory and the end.
      #expect(number(entry, 4) == 0x0606_4B50)
      #expect(entry + 56 + 20 == end)
    }
  }

  /// CRC-32 bit by bit (ISO 3309).
  private func crc(_ bytes: [UInt8]) -> UInt32 {
    ~bytes.reduce(UInt32.max) { crc, byte in
      (0..<8).reduce(crc ^ UInt32(byte)) { crc, _ in crc >> 1 ^ (crc & 1 == 1 ? 0xEDB8_8320 : 0) }
    }
  }

  /// 0: every number in a ZIP64 field; 100: some.
  @Test(arguments: [0xFFFF_FFFF, 100, 0])
  func `our reader, which believes nothing, reads it, with ZIP64 fields too`(widest: Int) throws {
    try inTemporaryFolder { folder in
      try write(to: folder + "/a", widest: widest)
      let zip = try ZipArchive(FileReader(path: folder + "/a"), ignoreCRC: false)
      #expect(zip.names == Self.contents.map(\.name))
      for (name, data) in Self.contents { #expect(try zip.contents(of: name) == data) }
    }
  }

  @Test func `an archive that is not finished leaves nothing behind`() throws {
    try inTemporaryFolder { folder in
      do {
        var zip = try ZipWriter(path: folder + "/a", overwriting: false)
        try zip.append("a/one", [1])
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }
}
