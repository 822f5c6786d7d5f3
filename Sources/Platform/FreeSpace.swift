import Foundation

/// Bytes that this process may still write on the file system of `path`, or, where nothing stands there yet, of the nearest folder
/// above it.
public func freeSpace(at path: String) throws(PlatformError) -> Int {
  var status = statvfs()
  var place = path
  while statvfs(place.isEmpty ? "." : place, &status) != 0 {
    let code = errno
    let above = folder(of: place)
    guard code == ENOENT, above != place else { throw .unreadable(path: place, errno: code) }
    place = above
  }
  let (bytes, overflows) = UInt(status.f_bavail).multipliedReportingOverflow(by: UInt(status.f_frsize))
  return overflows ? Int.max : Int(clamping: bytes)
}
