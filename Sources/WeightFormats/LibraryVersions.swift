import CHDF5
import CZlib

/// Of libhdf5: `1.10.8`.
public func hdf5LibraryVersion() -> String {
  var (major, minor, release): (UInt32, UInt32, UInt32) = (0, 0, 0)
  return H5get_libversion(&major, &minor, &release) >= 0 ? "\(major).\(minor).\(release)" : "unknown"
}

/// Of zlib: `1.2.13`.
public func zlibLibraryVersion() -> String { zlibVersion().map { String(cString: $0) } ?? "unknown" }
