import CPNGShim
import Platform

/// Of libpng: `1.6.39`.
public func pngLibraryVersion() -> String { png_shim_version().map { String(cString: $0) } ?? "unknown" }

/// PNG files, with every CRC and the Adler-32 checksum verified: by `PlainPNG` where they are its kind, else by libpng.
///
/// Gray of 1, 2, 4, 8 and 16 bits becomes one channel; gray with alpha too. RGB, RGBA and palettes become three. Of 16
/// bits the upper 8 stay, as in libpng's own reduction and in Pillow's of colours and of gray with alpha; Pillow's
/// `convert` of gray alone cuts it off at 255, which leaves nothing to see.
enum PNGDecoder {
  /// Decodes `bytes`, which came from `path` (used in messages only).
  ///
  /// Errors: `tooLarge` beyond `Radiograph`'s limits, `truncated`, `damaged`, `outOfMemory`.
  static func decode(_ bytes: [UInt8], path: String) throws(ChestXrayError) -> Radiograph {
    if let image = PlainPNG.decode(bytes) { return image }
    return try decodeByLibrary(bytes, path: path)
  }

  /// As `decode`, by libpng.
  static func decodeByLibrary(_ bytes: [UInt8], path: String) throws(ChestXrayError) -> Radiograph {
    var header = png_shim_header()
    var failure = png_shim_failure()
    let found = png_shim_read_header(&header, &failure, bytes, bytes.count)
    let width = Int(header.width)
    let height = Int(header.height)
    try check(found, failure, rows: height, path: path)

    guard Radiograph.isWithinLimits(width: width, height: height)
    else { throw .image(path: path, .tooLarge(width: width, height: height)) }
    try checkPlausible(header, fileSize: bytes.count, path: path)

    let channels = header.color_type == 0 || header.color_type == 4 ? 1 : 3
    var status = PNG_SHIM_OK
    let pixels = [UInt8](unsafeUninitializedCapacity: width * height * channels) { buffer, initialized in
      // A failed decoder leaves rows unwritten; none of them is read.
      status = png_shim_read_pixels(
        buffer.baseAddress, buffer.count, Int32(channels), &failure, bytes, bytes.count)
      initialized = status == PNG_SHIM_OK ? width * height * channels : 0
    }
    try check(status, failure, rows: height, path: path)
    return Radiograph(width: width, height: height, channels: channels, pixels: pixels)
  }

  /// Whether a file can hold so many bytes of rows: Deflate makes at most 1032 bytes out of one (zlib's "Technical Details").
  static func isPlausible(rawBytes: Int, fileSize: Int) -> Bool { rawBytes / 1032 <= fileSize }

  /// Refuses a header that promises more than the file can hold, before memory is asked for.
  private static func checkPlausible(
    _ header: png_shim_header, fileSize: Int, path: String
  ) throws(ChestXrayError) {
    let samples: Int
    switch header.color_type {
    case 2: samples = 3
    case 4: samples = 2
    case 6: samples = 4
    default: samples = 1
    }
    let rowBits = Int(header.width) * samples * Int(header.bit_depth)
    let raw = Int(header.height) * ((rowBits + 7) / 8)
    if !isPlausible(rawBytes: raw, fileSize: fileSize) {
      throw .image(path: path, .truncated(row: 0, rows: Int(header.height)))
    }
  }

  private static func check(
    _ status: png_shim_status, _ failure: png_shim_failure, rows: Int, path: String
  ) throws(ChestXrayError) {
    switch status {
    case PNG_SHIM_OK:
      return
    case PNG_SHIM_TRUNCATED:
      throw .image(path: path, .truncated(row: Int(failure.row), rows: rows))
    case PNG_SHIM_OUT_OF_MEMORY:
      throw .image(path: path, .outOfMemory)
    default:
      let reason = withUnsafeBytes(of: failure.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      throw .image(path: path, .damaged(row: Int(failure.row), reason: reason))
    }
  }
}
