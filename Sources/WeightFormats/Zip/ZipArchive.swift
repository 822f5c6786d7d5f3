import Foundation
import Platform
import Synchronization

/// A zip archive, open for reading, by several threads at once. It is read as strictly as scanners wish that loaders would.
///
/// Invariant: the entries, each with its local header and descriptor, tile the file from its first byte to the directory;
/// local headers say what the directory says; no two entries have one name. So there is one way to read the archive.
final class ZipArchive {
  private let reader: FileReader
  private let ignoreCRC: Bool
  /// In the order of the directory.
  let names: [String]
  private let entries: [String: ZipEntry]
  private let inflated = Mutex(Inflated())
  /// Held while a whole entry is read for parts of it: whoever wants another part waits.
  private let wholeLock = NSLock()
  /// The entries whose checksum was compared already.
  private var compared: Set<String> = []
  /// The entry that was inflated last for a part of it.
  private var latest: (name: String, bytes: [UInt8])?

  private struct Inflated {
    var names: Set<String> = []
    /// Of entries that were inflated again.
    var repeatedBytes = 0
  }

  /// DEFLATE cannot pack more than about 1032 bytes into one (zlib's technical details).
  private static let ratioLimit = 1100
  /// Bytes that all deflated entries may have, inflated, whatever they are packed from.
  private static let freeSize = 32 << 20
  /// Beyond that, how many bytes they may have for one in the file. Trained numbers hardly deflate at all.
  private static let freeRatio = 16
  /// Bytes of entries that may be inflated again, because tensors of several storages take turns.
  private static let repeatLimit = 256 << 20

  /// Bytes of a deflated entry up to which it is inflated at once: then it is in memory twice, packed and unpacked.
  private static let wholeSize = 8 << 20

  init(_ reader: consuming FileReader, ignoreCRC: Bool) throws(WeightFault) {
    let directory = try ZipDirectory(reader)
    var entries: [String: ZipEntry] = [:]
    let byOffset = directory.entries.sorted { $0.headerOffset < $1.headerOffset }
    var end = 0
    var (packed, unpacked) = (0, 0)
    for index in byOffset.indices {
      var entry = byOffset[index]
      if entry.headerOffset < end { throw .zip(.overlap(entry: entry.name)) }
      if entry.headerOffset > end { throw .zip(.gap(before: entry.name)) }
      let next = index + 1 < byOffset.count ? min(byOffset[index + 1].headerOffset, directory.offset) : directory.offset
      entry.dataOffset = try Self.checkLocalHeader(of: entry, in: reader, end: next)
      end = try Self.checkDescriptor(of: entry, in: reader, end: next)
      if entry.method == ZipEntry.deflated {
        if entry.size / Self.ratioLimit > entry.compressedSize {
          throw .zip(.bomb(entry: entry.name, compressed: entry.compressedSize, size: entry.size))
        }
        // Neither overflows: what is packed lies in the file, and what is unpacked is not 1100 times as much.
        packed += entry.compressedSize
        unpacked += entry.size
        if unpacked > Self.freeSize, unpacked / Self.freeRatio > packed {
          throw .zip(.bomb(entry: entry.name, compressed: packed, size: unpacked))
        }
      }
      entries[entry.name] = entry
    }
    guard end == directory.offset else { throw .zip(.gap(before: "the directory")) }
    self.reader = reader
    self.ignoreCRC = ignoreCRC
    self.entries = entries
    names = directory.entries.map(\.name)
  }

  /// Bytes of an entry, inflated; nil where there is none of that name.
  func size(of name: String) -> Int? { entries[name]?.size }

  /// Whether an entry is deflated.
  var isDeflated: Bool { entries.values.contains { $0.method == ZipEntry.deflated } }

  /// Where in the file the bytes of an entry stand that is not deflated; nil where there is none of that name.
  func storedRange(of name: String) -> Range<Int>? {
    guard let entry = entries[name], entry.method == ZipEntry.stored else { return nil }
    return entry.dataOffset..<entry.dataOffset + entry.size
  }

  /// The archive's file, opened again.
  func file() throws(WeightFault) -> FileReader {
    do throws(PlatformError) { return try reader.duplicate() } catch { throw .platform(error) }
  }

  /// Compares the checksum of an entry, the first time.
  func check(_ name: String) throws(WeightFault) {
    guard let entry = entries[name], !ignoreCRC else { return }
    wholeLock.lock()
    defer { wholeLock.unlock() }
    if compared.contains(name) { return }
    try forEachPiece(of: entry) { _ in }
    compared.insert(name)
  }

  /// Compares the local header with the directory; returns where the data begin.
  private static func checkLocalHeader(
    of entry: ZipEntry, in reader: borrowing FileReader, end: Int
  ) throws(WeightFault) -> Int {
    func mismatch(_ field: String) -> WeightFault { .zip(.localMismatch(entry: entry.name, field: field)) }
    guard end - entry.headerOffset >= 30 else { throw .zip(.overlap(entry: entry.name)) }
    var fields = ByteReader(try reader.bytes(at: entry.headerOffset, count: 30))
    guard fields.integer(UInt32.self) == 0x0403_4B50, fields.take(2) != nil else { throw mismatch("signature") }
    guard fields.integer(UInt16.self) == entry.flags else { throw mismatch("flags") }
    guard fields.integer(UInt16.self) == entry.method else { throw mismatch("method") }
    guard fields.take(4) != nil, let checksum: UInt32 = fields.integer(),
      let compressedSize: UInt32 = fields.integer(), let size: UInt32 = fields.integer(),
      let nameLength: UInt16 = fields.integer(), let extraLength: UInt16 = fields.integer()
    else { throw mismatch("signature") }
    let variable = Int(nameLength) + Int(extraLength)
    let dataOffset = entry.headerOffset + 30 + variable
    guard dataOffset <= end, entry.compressedSize <= end - dataOffset else { throw .zip(.overlap(entry: entry.name)) }
    let bytes = try reader.bytes(at: entry.headerOffset + 30, count: variable)
    guard bytes.prefix(Int(nameLength)).elementsEqual(entry.name.utf8) else { throw mismatch("name") }
    guard let sizes = ZipDirectory.zip64Fields(Array(bytes.dropFirst(Int(nameLength))), of: [size, compressedSize])
    else { throw mismatch("size") }
    // With a descriptor behind the data, writers leave zeros here.
    let isBlank = entry.hasDescriptor && checksum == 0 && sizes == [0, 0]
    guard isBlank || sizes == [entry.size, entry.compressedSize] else { throw mismatch("size") }
    guard isBlank || checksum == entry.checksum else { throw mismatch("checksum") }
    guard entry.method != ZipEntry.stored || entry.size == entry.compressedSize else { throw mismatch("size") }
    return dataOffset
  }

  /// Compares the descriptor, if the entry has one, with the directory; returns where the entry ends.
  private static func checkDescriptor(
    of entry: ZipEntry, in reader: borrowing FileReader, end: Int
  ) throws(WeightFault) -> Int {
    let dataEnd = entry.dataOffset + entry.compressedSize
    guard entry.hasDescriptor else { return dataEnd }
    // With or without signature, with sizes of 4 or of 8 bytes: the room tells which (APPNOTE 4.3.9).
    guard [12, 16, 20, 24].contains(end - dataEnd) else { throw .zip(.malformedDescriptor(entry: entry.name)) }
    var fields = ByteReader(try reader.bytes(at: dataEnd, count: end - dataEnd))
    if fields.remaining % 8 == 0, fields.integer(UInt32.self) != 0x0807_4B50 {
      throw .zip(.malformedDescriptor(entry: entry.name))
    }
    let isWide = fields.remaining == 20
    let checksum = fields.integer(UInt32.self)
    let sizes = (0..<2).map { _ in
      isWide ? fields.integer(UInt64.self) : fields.integer(UInt32.self).map(UInt64.init)
    }
    guard checksum == entry.checksum, sizes == [UInt64(entry.compressedSize), UInt64(entry.size)] else {
      throw .zip(.malformedDescriptor(entry: entry.name))
    }
    return end
  }

  // MARK: - Contents

  /// The bytes of an entry, inflated, their checksum compared; nil where there is none of that name.
  func contents(of name: String) throws(WeightFault) -> [UInt8]? {
    guard let entry = entries[name] else { return nil }
    if entry.method == ZipEntry.deflated {
      let repeated = inflated.withLock { inflated in
        if !inflated.names.insert(name).inserted { inflated.repeatedBytes += entry.size }
        return inflated.repeatedBytes
      }
      if repeated > Self.repeatLimit {
        throw .zip(.bomb(entry: name, compressed: entry.compressedSize, size: repeated))
      }
    }
    if entry.method == ZipEntry.deflated, max(entry.size, entry.compressedSize) <= Self.wholeSize {
      let stream = try reader.bytes(at: entry.dataOffset, count: entry.compressedSize)
      guard let bytes = Deflate.inflate(stream, count: entry.size, wrapping: .none) else {
        throw .zip(.malformedData(entry: name))
      }
      guard ignoreCRC || bytes.withUnsafeBytes({ Deflate.crc32($0) }) == entry.checksum else {
        throw .zip(.wrongChecksum(entry: name))
      }
      return bytes
    }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(entry.size)
    try forEachPiece(of: entry) { bytes += $0 }
    return bytes
  }

  /// The bytes of an entry that stand in `range`, the whole entry's checksum compared the first time; nil where there is none of
  /// that name. Only a deflated entry is held whole for it, until the next.
  func contents(of name: String, in range: Range<Int>) throws(WeightFault) -> [UInt8]? {
    guard let entry = entries[name] else { return nil }
    precondition(range.upperBound <= entry.size, "beyond the entry")
    if entry.method == ZipEntry.deflated {
      wholeLock.lock()
      defer { wholeLock.unlock() }
      if latest?.name != name {
        latest = nil
        latest = try contents(of: name).map { (name, $0) }
      }
      return latest.map { Array($0.bytes[range]) }
    }
    try check(name)
    return try reader.bytes(at: entry.dataOffset + range.lowerBound, count: range.count)
  }

  /// Calls `body` with the bytes of an entry, inflated, piece by piece (1 MiB at the most), in order; false where there is none of
  /// that name. That they are as many as the directory says, and their checksum, is known only at the end.
  func forEachPiece(
    of name: String, _ body: ([UInt8]) throws(WeightFault) -> Void
  ) throws(WeightFault) -> Bool {
    guard let entry = entries[name] else { return false }
    try forEachPiece(of: entry, body)
    return true
  }

  private func forEachPiece(
    of entry: ZipEntry, _ body: ([UInt8]) throws(WeightFault) -> Void
  ) throws(WeightFault) {
    var checksum: UInt32 = 0
    func take(_ piece: [UInt8]) throws(WeightFault) {
      if !ignoreCRC {
        checksum = piece.withUnsafeBytes { Deflate.crc32($0, after: checksum) }
      }
      try body(piece)
    }
    var inflater: Inflater?
    if entry.method == ZipEntry.deflated { inflater = try Inflater(entry) }
    for start in stride(from: 0, to: entry.compressedSize, by: Inflater.pieceSize) {
      let piece = try reader.bytes(
        at: entry.dataOffset + start, count: min(Inflater.pieceSize, entry.compressedSize - start))
      if inflater == nil { try take(piece) } else { try inflater?.inflate(piece, take) }
    }
    try inflater?.finish()
    if !ignoreCRC, checksum != entry.checksum { throw .zip(.wrongChecksum(entry: entry.name)) }
  }
}
