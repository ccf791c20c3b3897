"""The remote shell: how requests and answers are framed, as bytes in and bytes out."""
