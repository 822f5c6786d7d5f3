import Platform

/// Writes a zip archive of stored entries (PKWARE APPNOTE 6.3.10, sections 4.3 to 4.5), as PyTorch's own writer lays one out:
/// the data of each begin at a multiple of 64 bytes, so that loaders may map them, behind an extra field `FB` filled with `Z`.
///
/// Each local header has checksum and sizes, with no descriptor behind the data. Dates are the format's first day, so the same
/// entries always give the same bytes. The ZIP64 end record always stands, as PyTorch writes it; the ZIP64 fields of an entry
/// only where a number needs them.
struct ZipWriter: ~Copyable {
  /// To which multiple of bytes data are aligned: c10's `kFieldAlignment` (caffe2/serialize/inline_container.h).
  static let alignment = 64

  private var file: AtomicFile
  private var offset = 0
  private var records: [Record] = []
  private let widest: Int

  private struct Record {
    var name: [UInt8]
    var checksum: UInt32
    var size: Int
    var headerOffset: Int
  }

  /// `widest`: the smallest number that goes into a ZIP64 field; smaller than the format's own only to test these fields.
  init(path: String, overwriting: Bool, widest: Int = 0xFFFF_FFFF) throws(PlatformError) {
    file = try AtomicFile(path: path, overwriting: overwriting)
    self.widest = widest
  }

  /// Adds an entry. Names must differ; they are ASCII of at most 1000 characters.
  mutating func append(_ name: String, _ data: [UInt8]) throws(PlatformError) {
    let record = Record(name: Array(name.utf8), checksum: checksum(of: data), size: data.count, headerOffset: offset)
    precondition(record.name.count <= 1000 && record.name.allSatisfy { $0 < 0x80 }, "no name for an entry: \(name)")
    var extra = wideFields([record.size, record.size])
    let unaligned = offset + 30 + record.name.count + extra.count + 4
    let padding = (Self.alignment - unaligned % Self.alignment) % Self.alignment
    var field = ByteWriter()
    field.integer(UInt16(0x4246))
    field.integer(UInt16(padding))
    field.append(repeatElement(UInt8(ascii: "Z"), count: padding))
    extra += field.bytes

    var header = ByteWriter()
    header.integer(UInt32(0x0403_4B50))
    appendCommonFields(of: record, extra: extra, to: &header)
    header.append(record.name)
    header.append(extra)
    try file.write(header.bytes)
    try file.write(data)
    offset += header.bytes.count + data.count
    records.append(record)
  }

  /// Writes the directory and gives the file its name.
  consuming func finish() throws(PlatformError) {
    var end = ByteWriter()
    for record in records { end.append(directoryEntry(of: record)) }
    let size = end.bytes.count
    let wideOffset = offset + size
    // The ZIP64 end record (4.3.14): 44 bytes of it stand behind its length.
    end.integer(UInt32(0x0606_4B50))
    end.integer(UInt64(44))
    end.integer(Self.version)
    end.integer(Self.wideVersion)
    end.integer(UInt64(0))  // this disk, and that of the directory
    for number in [records.count, records.count, size, offset] { end.integer(UInt64(number)) }
    // Its locator (4.3.15).
    end.integer(UInt32(0x0706_4B50))
    end.integer(UInt32(0))
    end.integer(UInt64(wideOffset))
    end.integer(UInt32(1))
    // The end record (4.3.16), no comment behind it.
    end.integer(UInt32(0x0605_4B50))
    end.integer(UInt32(0))
    for _ in 0..<2 { end.integer(UInt16(min(records.count, 0xFFFF))) }
    for number in [size, offset] { end.integer(narrow(number)) }
    end.integer(UInt16(0))
    try file.write(end.bytes)
    try file.commit()
  }

  /// 2.0 where nothing is wider than 32 bits, else 4.5 (4.4.3.2).
  private static let version: UInt16 = 20
  private static let wideVersion: UInt16 = 45

  private func directoryEntry(of record: Record) -> [UInt8] {
    let extra = wideFields([record.size, record.size, record.headerOffset])
    var entry = ByteWriter()
    entry.integer(UInt32(0x0201_4B50))
    entry.integer(Self.version)
    appendCommonFields(of: record, extra: extra, to: &entry)
    entry.integer(UInt16(0))  // no comment
    entry.integer(UInt16(0))  // disk
    entry.integer(UInt16(0))  // internal attributes
    entry.integer(UInt32(0))  // external attributes
    entry.integer(narrow(record.headerOffset))
    entry.append(record.name)
    entry.append(extra)
    return entry.bytes
  }

  /// What local header and directory both have, from the version needed to the length of the extra fields.
  private func appendCommonFields(of record: Record, extra: [UInt8], to header: inout ByteWriter) {
    header.integer(max(record.size, record.headerOffset) < widest ? Self.version : Self.wideVersion)
    header.integer(UInt16(0x0800))  // names are UTF-8
    header.integer(ZipEntry.stored)
    header.integer(UInt16(0))  // midnight
    header.integer(UInt16(0x0021))  // of 1980-01-01
    header.integer(record.checksum)
    for _ in 0..<2 { header.integer(narrow(record.size)) }
    header.integer(UInt16(record.name.count))
    header.integer(UInt16(extra.count))
  }

  private func narrow(_ number: Int) -> UInt32 { number < widest ? UInt32(number) : 0xFFFF_FFFF }

  /// The ZIP64 extra field (4.5.3) with those of `numbers` that need it; empty where none does.
  private func wideFields(_ numbers: [Int]) -> [UInt8] {
    let wide = numbers.filter { $0 >= widest }
    if wide.isEmpty { return [] }
    var field = ByteWriter()
    field.integer(UInt16(1))
    field.integer(UInt16(8 * wide.count))
    for number in wide { field.integer(UInt64(number)) }
    return field.bytes
  }

  private func checksum(of bytes: [UInt8]) -> UInt32 {
    bytes.withUnsafeBytes { Deflate.crc32($0) }
  }
}
