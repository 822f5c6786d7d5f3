import Platform

/// One file in a zip archive, as the central directory has it.
struct ZipEntry {
  var name: String
  var flags: UInt16
  var method: UInt16
  var checksum: UInt32
  var compressedSize: Int
  var size: Int
  /// Where its local header begins.
  var headerOffset: Int
  /// Where its data begin; known once the local header was checked.
  var dataOffset = 0

  static let stored: UInt16 = 0
  static let deflated: UInt16 = 8

  /// Whether sizes and checksum stand behind the data, not in front of them.
  var hasDescriptor: Bool { flags & 0x0008 != 0 }
}

/// Reads the directory at the end of a zip archive (PKWARE APPNOTE 6.3.10, sections 4.3 and 4.5; ZIP64).
struct ZipDirectory {
  private(set) var entries: [ZipEntry] = []
  /// Where the directory begins: the end of the last entry.
  let offset: Int

  private static let endSize = 22
  /// A DenseNet-264 with the state of its optimizer has some 4,000 storages.
  private static let entryLimit = 100_000
  /// Bits 1 and 2 say how hard a deflater tried, 3 is the descriptor's, 11 says that names are UTF-8 (APPNOTE 4.4.4).
  private static let knownFlags: UInt16 = 0x080E
  private static let locatorSize = 20

  init(_ reader: borrowing FileReader) throws(WeightFault) {
    let end = try Self.end(of: reader)
    let (count, size, offset, directoryEnd) = end
    guard let expectedEnd = Self.sum(offset, size), expectedEnd == directoryEnd else {
      throw .zip(.malformedEnd(reason: "the directory does not end where the end record begins"))
    }
    self.offset = offset
    // An entry needs 46 bytes at least, so a lying count ends the loop before it costs anything.
    guard count <= size / 46 else { throw .zip(.malformedEnd(reason: "\(count) entries in \(size) bytes")) }
    guard count <= Self.entryLimit else { throw .zip(.tooManyEntries(count: count, limit: Self.entryLimit)) }
    var bytes = ByteReader(try reader.bytes(at: offset, count: size))
    var names = Set<String>()
    for index in 0..<count {
      guard let entry = try Self.entry(&bytes) else { throw .zip(.malformedDirectory(entry: index)) }
      guard names.insert(entry.name).inserted else { throw .zip(.duplicateName(entry.name)) }
      entries.append(entry)
    }
    guard bytes.remaining == 0 else {
      throw .zip(.malformedEnd(reason: "the directory has more than \(count) entries"))
    }
  }

  private static func sum(_ left: Int, _ right: Int) -> Int? {
    let (sum, overflow) = left.addingReportingOverflow(right)
    return overflow ? nil : sum
  }

  private typealias End = (count: Int, size: Int, offset: Int, directoryEnd: Int)

  private static func end(of reader: borrowing FileReader) throws(WeightFault) -> End {
    let tail = try reader.bytes(
      at: max(0, reader.size - endSize - 0xFFFF), count: min(reader.size, endSize + 0xFFFF))
    let signatures = (0..<max(0, tail.count - 3)).filter { place in
      tail[place] == 0x50 && tail[place...].starts(with: [0x50, 0x4B, 0x05, 0x06])
    }
    // The comment's length must reach the end of the file exactly. Some readers take the last signature, whatever its comment.
    let places = signatures.filter { place in
      place + endSize <= tail.count
        && place + endSize + Int(tail[place + 20]) + Int(tail[place + 21]) << 8 == tail.count
    }
    guard let place = places.last else { throw .zip(.truncated(size: reader.size)) }
    guard places.count == 1, place == signatures.last else { throw .zip(.ambiguousEnd) }
    var fields = ByteReader(tail, at: place + 4)
    guard let disk: UInt16 = fields.integer(), let directoryDisk: UInt16 = fields.integer(),
      let countHere: UInt16 = fields.integer(), let count: UInt16 = fields.integer(),
      let size: UInt32 = fields.integer(), let offset: UInt32 = fields.integer()
    else { throw .zip(.truncated(size: reader.size)) }
    guard disk == 0 || disk == 0xFFFF, directoryDisk == disk, countHere == count else { throw .zip(.severalDisks) }
    let endOffset = reader.size - tail.count + place
    let short = End(count: Int(count), size: Int(size), offset: Int(offset), directoryEnd: endOffset)
    guard let wide = try wideEnd(of: reader, before: endOffset) else { return short }
    guard count == 0xFFFF || wide.count == short.count, size == 0xFFFF_FFFF || wide.size == short.size,
      offset == 0xFFFF_FFFF || wide.offset == short.offset
    else { throw .zip(.malformedEnd(reason: "the ZIP64 record says something else than the end record")) }
    return wide
  }

  /// The ZIP64 record, where its locator stands in front of the end record.
  private static func wideEnd(of reader: borrowing FileReader, before endOffset: Int) throws(WeightFault) -> End? {
    guard endOffset >= locatorSize else { return nil }
    var locator = ByteReader(try reader.bytes(at: endOffset - locatorSize, count: locatorSize))
    guard locator.integer(UInt32.self) == 0x0706_4B50 else { return nil }
    guard locator.integer(UInt32.self) == 0, let place = locator.integer(UInt64.self).flatMap(Int.init(exactly:)),
      locator.integer(UInt32.self) == 1
    else { throw .zip(.severalDisks) }
    guard place <= endOffset - locatorSize - 56 else {
      throw .zip(.malformedEnd(reason: "the ZIP64 record is not in front of its locator"))
    }
    var fields = ByteReader(try reader.bytes(at: place, count: 56))
    // 44 bytes follow its length: what may stand behind them for others' use would be hidden from us.
    guard fields.integer(UInt32.self) == 0x0606_4B50, fields.integer(UInt64.self) == 44,
      place + 56 == endOffset - locatorSize, fields.take(4) != nil
    else { throw .zip(.malformedEnd(reason: "the ZIP64 record is not in front of its locator")) }
    guard fields.integer(UInt32.self) == 0, fields.integer(UInt32.self) == 0 else { throw .zip(.severalDisks) }
    let numbers = (0..<4).compactMap { _ in fields.integer(UInt64.self).flatMap(Int.init(exactly:)) }
    guard numbers.count == 4, numbers[0] == numbers[1] else { throw .zip(.severalDisks) }
    return End(count: numbers[1], size: numbers[2], offset: numbers[3], directoryEnd: place)
  }

  /// The next entry; nil where the bytes are none.
  private static func entry(_ bytes: inout ByteReader) throws(WeightFault) -> ZipEntry? {
    guard bytes.integer(UInt32.self) == 0x0201_4B50, bytes.take(4) != nil, let flags: UInt16 = bytes.integer(),
      let method: UInt16 = bytes.integer(), bytes.take(4) != nil, let checksum: UInt32 = bytes.integer(),
      let compressedSize: UInt32 = bytes.integer(), let size: UInt32 = bytes.integer(),
      let nameLength: UInt16 = bytes.integer(), let extraLength: UInt16 = bytes.integer(),
      let commentLength: UInt16 = bytes.integer(), let disk: UInt16 = bytes.integer(), bytes.take(2) != nil,
      let attributes: UInt32 = bytes.integer(), let offset: UInt32 = bytes.integer(),
      let nameBytes = bytes.take(Int(nameLength)), let extra = bytes.take(Int(extraLength)),
      bytes.take(Int(commentLength)) != nil
    else { return nil }
    guard disk == 0 || disk == 0xFFFF else { throw .zip(.severalDisks) }
    let name = try checkedName(nameBytes)
    // Bits 0, 6 and 13: encryption. Bit 5: patch data.
    guard flags & 0x2061 == 0 else { throw .zip(.encrypted(entry: name)) }
    guard flags & ~knownFlags == 0 else { throw .zip(.unknownFlags(entry: name, flags: flags)) }
    guard method == ZipEntry.stored || method == ZipEntry.deflated else {
      throw .zip(.unknownMethod(entry: name, method: Int(method)))
    }
    guard attributes >> 28 != 0xA else { throw .zip(.symbolicLink(entry: name)) }
    guard let wide = zip64Fields(Array(extra), of: [size, compressedSize, offset]) else { return nil }
    return ZipEntry(
      name: name, flags: flags, method: method, checksum: checksum, compressedSize: wide[1], size: wide[0],
      headerOffset: wide[2])
  }

  private static func checkedName(_ bytes: ArraySlice<UInt8>) throws(WeightFault) -> String {
    guard let name = String(validating: bytes, as: UTF8.self), !name.isEmpty, !name.hasPrefix("/"),
      !name.unicodeScalars.contains(where: { $0 == "\\" || $0.value < 0x20 || $0.value == 0x7F }),
      !name.split(separator: "/", omittingEmptySubsequences: false).contains(where: { $0 == ".." || $0 == "." })
    else { throw .zip(.unsafeName(String(decoding: bytes, as: UTF8.self))) }
    return name
  }

  /// The values of `fields`, those that are 0xFFFFFFFF from the ZIP64 extra field (id 1), in this order (APPNOTE 4.5.3).
  static func zip64Fields(_ extra: [UInt8], of fields: [UInt32]) -> [Int]? {
    var wide: ByteReader?
    var records = ByteReader(extra)
    while records.remaining >= 4, let id: UInt16 = records.integer(), let length: UInt16 = records.integer() {
      guard let body = records.take(Int(length)) else { return nil }
      if id == 1 {
        if wide != nil { return nil }
        wide = ByteReader(Array(body))
      }
    }
    var values: [Int] = []
    for field in fields {
      if field != 0xFFFF_FFFF {
        values.append(Int(field))
      } else {
        guard let value = wide?.integer(UInt64.self).flatMap(Int.init(exactly:)) else { return nil }
        values.append(value)
      }
    }
    return values
  }
}
