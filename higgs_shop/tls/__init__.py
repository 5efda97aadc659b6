"""Serving https with a certificate of the store's own, as `run --tls` does.

The parts:

    certificate   the files, made when needed and kept in the instance folder
    self_signed   what is in them; pure, and imported only where it is needed
    server        waitress over TLS
"""

from higgs_shop.tls.certificate import Certificate, load_certificate
from higgs_shop.tls.server import TlsServer

__all__ = ["Certificate", "TlsServer", "load_certificate"]
