import CDeflate

/// DEFLATE (RFC 1951) of a whole stream at once, and its checksum: two to three times as fast as piece by piece (libdeflate).
public enum Deflate {
  /// What stands around a stream.
  public enum Wrapping {
    /// Nothing, as in zip archives.
    case none
    /// Header and Adler-32 of zlib (RFC 1950), as in PNG files.
    case zlib
  }

  /// What `stream` inflates to, which must be `count` bytes; nil where it is malformed, shorter, longer, or goes on behind its end.
  public static func inflate(_ stream: [UInt8], count: Int, wrapping: Wrapping) -> [UInt8]? {
    guard let decompressor = libdeflate_alloc_decompressor() else { return nil }
    defer { libdeflate_free_decompressor(decompressor) }
    let decompress = wrapping == .zlib ? libdeflate_zlib_decompress_ex : libdeflate_deflate_decompress_ex
    var isWhole = false
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { output, initialized in
      var (taken, made) = (0, 0)
      let result = stream.withUnsafeBytes { input in
        decompress(decompressor, input.baseAddress, input.count, output.baseAddress, count, &taken, &made)
      }
      isWhole = result == LIBDEFLATE_SUCCESS && taken == stream.count && made == count
      initialized = isWhole ? count : 0
    }
    return isWhole ? bytes : nil
  }

  /// CRC-32 (ISO 3309, of zip archives and PNG files) of what has the CRC-32 `start`, and `bytes` behind it.
  public static func crc32(_ bytes: UnsafeRawBufferPointer, after start: UInt32 = 0) -> UInt32 {
    libdeflate_crc32(start, bytes.baseAddress, bytes.count)
  }

  public static var version: String { LIBDEFLATE_VERSION_STRING }
}
