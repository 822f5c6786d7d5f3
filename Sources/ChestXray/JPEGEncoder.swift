import CJPEG
import Foundation
import Platform

extension Radiograph {
  /// This image as a JPEG file, by TurboJPEG, for small pictures in a page; colours are not subsampled.
  ///
  /// - Parameter quality: libjpeg's, 1 … 100.
  ///
  /// Errors: `writeFailed` with ENOMEM, `path` being only in its message.
  public func jpeg(quality: Int = 85, path: String) throws(PlatformError) -> [UInt8] {
    guard let encoder = tjInitCompress() else { throw .writeFailed(path: path, errno: ENOMEM) }
    defer { tjDestroy(encoder) }
    let (width, height) = (Int32(width), Int32(height))
    let isGray = channels == 1
    let subsampling = Int32((isGray ? TJSAMP_GRAY : TJSAMP_444).rawValue)
    let capacity = Int(tjBufSize(width, height, subsampling))
    var status: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, initialized in
      var (start, size) = (buffer.baseAddress, UInt(capacity))
      status = tjCompress2(
        encoder, pixels, width, 0, height, Int32((isGray ? TJPF_GRAY : TJPF_RGB).rawValue), &start, &size, subsampling,
        Int32(quality), TJFLAG_NOREALLOC | TJFLAG_ACCURATEDCT)
      initialized = status == 0 ? Int(size) : 0
    }
    guard status == 0 else { throw .writeFailed(path: path, errno: ENOMEM) }
    return bytes
  }
}
