import CPNGShim
import Foundation
import Platform

/// Encodes images as PNG, by libpng: 8 bits, not interlaced, for speed rather than for size.
enum PNGEncoder {
  /// The PNG of `image`, which will be written to `path` (used in messages only).
  ///
  /// Errors: `writeFailed` with ENOMEM where libpng could not have its memory.
  static func encode(_ image: Radiograph, path: String) throws(PlatformError) -> [UInt8] {
    guard let width = UInt32(exactly: image.width), let height = UInt32(exactly: image.height) else {
      preconditionFailure("\(image.width) × \(image.height) pixels are beyond PNG")
    }
    let channels = Int32(image.channels)
    let capacity = png_write_shim_bound(width, height, channels)
    var status = PNG_WRITE_SHIM_OK
    let bytes = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, initialized in
      status = png_write_shim(buffer.baseAddress, &initialized, capacity, image.pixels, width, height, channels)
    }
    guard status == PNG_WRITE_SHIM_OK else { throw .writeFailed(path: path, errno: ENOMEM) }
    return bytes
  }
}

extension Radiograph {
  /// This image as a PNG file, which will be written to `path` (used in messages only).
  ///
  /// Errors: `writeFailed` with ENOMEM.
  public func png(path: String) throws(PlatformError) -> [UInt8] { try PNGEncoder.encode(self, path: path) }
}
