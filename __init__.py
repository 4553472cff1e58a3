from .backends import seed, use_backend

__all__ = ["seed", "use_backend"]
