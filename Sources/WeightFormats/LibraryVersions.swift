import CHDF5
import CZlib
import Platform

/// Of libhdf5: `1.10.8`; `none` where it is not there.
public func hdf5LibraryVersion() -> String {
  do throws(PlatformError) { try HDF5Library.open() } catch { return "none" }
  var (major, minor, release): (UInt32, UInt32, UInt32) = (0, 0, 0)
  return hdf5.H5get_libversion(&major, &minor, &release) >= 0 ? "\(major).\(minor).\(release)" : "unknown"
}

/// Of zlib: `1.2.13`.
public func zlibLibraryVersion() -> String { zlibVersion().map { String(cString: $0) } ?? "unknown" }
