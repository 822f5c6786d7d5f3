import Platform

@testable import WeightFormats

/// A zip archive of stored entries, right in every field.
func archiveBytes(_ records: [(name: String, data: [UInt8])]) -> [UInt8] {
  var body: [UInt8] = []
  var directory: [UInt8] = []
  for (name, data) in records {
    let offset = body.count
    let fields =
      littleEndian(checksum(data), 4) + littleEndian(data.count, 4) + littleEndian(data.count, 4)
      + littleEndian(name.utf8.count, 2) + [0, 0]
    body += [0x50, 0x4B, 3, 4, 20, 0, 0, 8, 0, 0, 0, 0, 0x21, 0] + fields + Array(name.utf8) + data
    directory +=
      [0x50, 0x4B, 1, 2, 20, 3, 20, 0, 0, 8, 0, 0, 0, 0, 0x21, 0] + fields + [UInt8](repeating: 0, count: 10)
      + littleEndian(offset, 4) + Array(name.utf8)
  }
  let count = littleEndian(records.count, 2)
  let sizes = littleEndian(directory.count, 4) + littleEndian(body.count, 4)
  return body + directory + [0x50, 0x4B, 5, 6, 0, 0, 0, 0] + count + count + sizes + [0, 0]
}

func littleEndian(_ value: Int, _ width: Int) -> [UInt8] {
  (0..<width).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
}

/// CRC-32 (ISO 3309), as zip has it.
private func checksum(_ bytes: [UInt8]) -> Int {
  Int(~bytes.reduce(UInt32.max) { crc, byte in crcTable[Int(UInt8(truncatingIfNeeded: crc) ^ byte)] ^ crc >> 8 })
}

private let crcTable: [UInt32] = (0..<256).map { byte in
  (0..<8).reduce(UInt32(byte)) { crc, _ in crc & 1 == 1 ? 0xEDB8_8320 ^ crc >> 1 : crc >> 1 }
}
