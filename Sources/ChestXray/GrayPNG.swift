import CKernels
import Platform

/// The PNG that nearly every radiograph is: 8-bit gray, not interlaced.
///
/// Whatever is not exactly as expected is left to libpng: other kinds, and all that is wrong, so that errors are the same. What is accepted
/// here, libpng accepts, with the same pixels.
enum GrayPNG {
  /// The image in `bytes`, which begin with a PNG's signature; nil where libpng is to look at it.
  ///
  /// At most, as many bytes again as the file has and the image itself are held. `level`: all give the same pixels.
  static func decode(_ bytes: [UInt8], level: ck_level = ck_best_level()) -> Radiograph? {
    guard let file = bytes.withUnsafeBytes(contents), file.hasWideWindow,
      var rows = Deflate.inflate(file.stream, count: file.height * (file.width + 1), wrapping: .zlib)
    else { return nil }
    let isUnfiltered = rows.withUnsafeMutableBufferPointer { rows in
      withUnsafeTemporaryAllocation(of: UInt8.self, capacity: ck_unfilter_workspace(file.width)) { workspace in
        guard let rows = rows.baseAddress, let workspace = workspace.baseAddress else { return false }
        return ck_pixels_of(level).unfilter(rows, file.width, file.height, workspace) == 0
      }
    }
    guard isUnfiltered else { return nil }
    // The pixels stand together; behind them is the room of the rows' filter types.
    rows.removeLast(file.height)
    return Radiograph(width: file.width, height: file.height, channels: 1, pixels: rows)
  }

  private struct Contents {
    var width = 0
    var height = 0
    /// The data of all IDAT chunks.
    var stream: [UInt8] = []

    /// Whether any distance in the stream is within the window that its header (RFC 1950, 2.2) promises. libdeflate ignores the
    /// window; zlib refuses what lies outside.
    var hasWideWindow: Bool {
      stream.first.map { 256 << Int($0 >> 4) >= min(height * (width + 1), 32768) } ?? false
    }
  }

  /// Where the next chunk stands.
  private enum Place {
    case start, beforeData, data, afterData
  }

  /// What follows the signature (PNG specification, third edition, 5.6): IHDR, ancillary chunks, IDAT chunks one after the other, ancillary chunks,
  /// IEND, and nothing behind it; nil for all else, and where a CRC is wrong. Ancillary chunks change no pixel, for transparency and gamma
  /// are ignored.
  private static func contents(of bytes: UnsafeRawBufferPointer) -> Contents? {
    var contents = Contents()
    var place = Place.start
    var offset = 8
    while let chunk = PNGChunk(at: offset, of: bytes) {
      offset = chunk.end
      switch (place, chunk.kind) {
      case (.start, .header):
        guard let size = graySize(chunk.data, fileSize: bytes.count) else { return nil }
        (contents.width, contents.height) = size
        place = .beforeData
      case (.beforeData, .data), (.data, .data):
        if place == .beforeData { contents.stream.reserveCapacity(bytes.count - chunk.start) }
        contents.stream.append(contentsOf: chunk.data)
        place = .data
      case (.beforeData, .ancillary), (.afterData, .ancillary):
        continue
      case (.data, .ancillary):
        place = .afterData
      case (.data, .end), (.afterData, .end):
        return offset == bytes.count ? contents : nil
      default:
        return nil
      }
    }
    return nil
  }

  /// The size in an IHDR (11.2.1) of 8-bit gray without interlacing, within the limits.
  private static func graySize(_ data: UnsafeRawBufferPointer, fileSize: Int) -> (width: Int, height: Int)? {
    guard data.count == 13, data[8...].elementsEqual([8, 0, 0, 0, 0]) else { return nil }
    let (width, height) = (PNGChunk.number(data, at: 0), PNGChunk.number(data, at: 4))
    guard width > 0, height > 0, Radiograph.isWithinLimits(width: width, height: height),
      PNGDecoder.isPlausible(rawBytes: height * (width + 1), fileSize: fileSize)
    else { return nil }
    return (width, height)
  }
}

/// A chunk of a PNG (PNG specification, third edition, 5.3) whose CRC is right.
private struct PNGChunk {
  enum Kind {
    case header, data, end, ancillary
  }

  let kind: Kind
  /// Where it begins and where the next one does, in the file.
  let start: Int
  let end: Int
  let data: UnsafeRawBufferPointer

  /// No text or colour profile of a radiograph is larger; libpng, too, has a limit.
  private static let largestAncillary = 1 << 20

  /// Nil where no whole chunk begins at `offset`, where its CRC is wrong, or where it is a critical one of another kind, one of data
  /// without data, or an ancillary one larger than expected.
  init?(at offset: Int, of file: UnsafeRawBufferPointer) {
    guard file.count - offset >= 12 else { return nil }
    let length = Self.number(file, at: offset)
    guard length <= file.count - offset - 12 else { return nil }
    start = offset
    end = offset + 12 + length
    let type = file[offset + 4..<offset + 8]
    if type.elementsEqual("IHDR".utf8) {
      kind = .header
    } else if type.elementsEqual("IDAT".utf8), length > 0 {
      kind = .data
    } else if type.elementsEqual("IEND".utf8), length == 0 {
      kind = .end
    } else if Self.isAncillary(type), length <= Self.largestAncillary {
      kind = .ancillary
    } else {
      return nil
    }
    let covered = UnsafeRawBufferPointer(rebasing: file[offset + 4..<end - 4])
    guard Int(Deflate.crc32(covered)) == Self.number(file, at: end - 4) else { return nil }
    data = UnsafeRawBufferPointer(rebasing: covered[4...])
  }

  /// Four letters, the first of them small.
  private static func isAncillary(_ type: Slice<UnsafeRawBufferPointer>) -> Bool {
    let isLetter = { (byte: UInt8) in (0x41...0x5A).contains(byte & ~0x20) }
    return type.allSatisfy(isLetter) && type[type.startIndex] & 0x20 != 0
  }

  /// Four bytes, the highest first.
  static func number(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Int {
    Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
  }
}
