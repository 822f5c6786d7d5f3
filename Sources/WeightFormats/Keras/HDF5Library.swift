import CHDF5
import Platform

/// The functions of libhdf5; `HDF5Library.open` comes first.
var hdf5: hdf5_functions { hdf5_bound().pointee }

/// libhdf5, opened when it is first asked for; in a package it is part of the executable.
enum HDF5Library {
  /// The build without MPI, by the names of Debian and of others, for HDF5 1.10, 1.12 and 1.14; and whatever the headers came with.
  private static let names = ["libhdf5_serial", "libhdf5"].flatMap { name in
    [".so.103", ".so.200", ".so.310", ".so"].map { name + $0 }
  }

  private static let opened: Result<Void, PlatformError> = {
    if hdf5_is_linked() {
      guard let missing = hdf5_bind(nil) else { return .success(()) }
      return .failure(
        .libraryMissing(names: ["the executable's own libhdf5"], reason: "it is not " + String(cString: missing)))
    }
    var reasons: [String] = []
    // A machine may have several: the one of the headers' version is taken.
    for name in names {
      do throws(PlatformError) {
        let library = try DynamicLibrary([name])
        guard let missing = hdf5_bind(library.handle) else { return .success(()) }
        reasons.append("\(name) is not \(String(cString: missing))")
      } catch {
        continue
      }
    }
    return .failure(.libraryMissing(names: names, reason: reasons.first ?? "none is there"))
  }()

  /// Throws `libraryMissing`.
  static func open() throws(PlatformError) { try opened.get() }
}
