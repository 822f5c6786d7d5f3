import CKernels
import Platform

/// The PNGs that nearly all radiographs are: gray or RGBA of 8 bits, not interlaced.
///
/// Whatever is not exactly as expected is left to libpng: other kinds, and all that is wrong, so that errors are the same. What is accepted
/// here, libpng accepts, with the same pixels.
enum PlainPNG {
  /// The image in `bytes`, which begin with a PNG's signature; nil where libpng is to look at it.
  ///
  /// At most, as many bytes again as the file has, and the rows with all samples, are held. `level`: all give the same pixels.
  static func decode(_ bytes: [UInt8], level: ck_level = ck_best_level()) -> Radiograph? {
    guard let file = bytes.withUnsafeBytes(contents), file.hasWideWindow,
      var rows = Deflate.inflate(file.stream, count: file.rawCount, wrapping: .zlib)
    else { return nil }
    let isUnfiltered = rows.withUnsafeMutableBufferPointer { rows in
      withUnsafeTemporaryAllocation(of: UInt8.self, capacity: ck_unfilter_workspace(file.width * file.samples)) {
        guard let rows = rows.baseAddress, let workspace = $0.baseAddress else { return false }
        return ck_pixels_of(level).unfilter(rows, file.width, file.height, file.samples, workspace) == 0
      }
    }
    guard isUnfiltered else { return nil }
    if file.samples == 4 { dropAlpha(&rows, pixels: file.width * file.height) }
    let channels = file.samples == 4 ? 3 : 1
    // The pixels stand together; behind them is the room of the rows' filter types, and of alpha.
    rows.removeLast(rows.count - file.width * file.height * channels)
    return Radiograph(width: file.width, height: file.height, channels: channels, pixels: rows)
  }

  /// Moves the colours of `pixels` pixels together.
  private static func dropAlpha(_ values: inout [UInt8], pixels: Int) {
    values.withUnsafeMutableBufferPointer { values in
      for index in 0..<pixels {
        values[3 * index] = values[4 * index]
        values[3 * index + 1] = values[4 * index + 1]
        values[3 * index + 2] = values[4 * index + 2]
      }
    }
  }

  private struct Contents {
    var width = 0
    var height = 0
    /// Of a pixel: 1 or 4.
    var samples = 0
    /// The data of all IDAT chunks.
    var stream: [UInt8] = []

    /// The bytes of the rows, with their filter types.
    var rawCount: Int { height * (width * samples + 1) }

    /// Whether any distance in the stream is within the window that its header (RFC 1950, 2.2) promises. libdeflate ignores the
    /// window; zlib refuses what lies outside.
    var hasWideWindow: Bool {
      stream.first.map { 256 << Int($0 >> 4) >= min(rawCount, 32768) } ?? false
    }

    /// Takes an IHDR (11.2.1) of 8-bit gray or RGBA without interlacing, within the limits; false for all others.
    mutating func takeHeader(_ data: UnsafeRawBufferPointer, fileSize: Int) -> Bool {
      guard data.count == 13, data[8] == 8, data[9] == 0 || data[9] == 6, data[10...].elementsEqual([0, 0, 0])
      else { return false }
      (width, height) = (PNGChunk.number(data, at: 0), PNGChunk.number(data, at: 4))
      samples = data[9] == 0 ? 1 : 4
      return width > 0 && height > 0 && Radiograph.isWithinLimits(width: width, height: height)
        && PNGDecoder.isPlausible(rawBytes: rawCount, fileSize: fileSize)
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
        guard contents.takeHeader(chunk.data, fileSize: bytes.count) else { return nil }
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
